internal import CFuse
internal import FileSystem
internal import SystemPackage

/// One question of the kernel. It is answered exactly once, and not touched afterwards: libfuse frees it with the answer.
@safe
struct Request: @unchecked Sendable {
    /// libfuse's request.
    let handle: OpaquePointer

    init?(_ handle: fuse_req_t?) {
        guard let handle = unsafe handle else { return nil }
        unsafe self.handle = handle
    }

    /// Who asks.
    var caller: Caller {
        guard let context = unsafe fuse_req_ctx(handle) else { return Caller(user: 0, group: 0, thread: 0) }
        return unsafe Caller(user: context.pointee.uid, group: context.pointee.gid, thread: context.pointee.pid)
    }

    /// The server that this request was sent to.
    var server: Server {
        unsafe Unmanaged<Server>.fromOpaque(fuse_req_userdata(handle)).takeUnretainedValue()
    }

    /// Has `interruption` raised when the caller no longer waits; nil ends that. After the return of a call with nil, nothing refers to
    /// the earlier interruption any more (libfuse holds a lock of the request while it calls back).
    func connect(_ interruption: Interruption?) {
        guard let interruption else {
            unsafe fuse_req_interrupt_func(handle, nil, nil)
            return
        }
        unsafe fuse_req_interrupt_func(
            handle,
            { _, data in
                guard let data = unsafe data else { return }
                unsafe Unmanaged<Interruption>.fromOpaque(data).takeUnretainedValue().raise()
            },
            Unmanaged.passUnretained(interruption).toOpaque()
        )
    }
}

/// Runs an operation; it replies by itself, or throws what is then the reply.
func answer(_ handle: fuse_req_t?, _ operation: (Request, Server) throws(Errno) -> Void) {
    guard let request = unsafe Request(handle) else { return }
    do throws(Errno) {
        try operation(request, request.server)
    } catch {
        request.fail(error)
    }
}
