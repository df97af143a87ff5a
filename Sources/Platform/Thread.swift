internal import CPlatform
internal import Glibc

/// Starts a detached POSIX thread.
///
/// - Parameters:
///   - name: what `top -H` and a debugger show; at most 15 bytes of it.
///   - body: what it runs.
/// - Returns: false when the host can't give another thread.
@discardableResult
public func startThread(_ name: String, _ body: @escaping @Sendable () -> Void) -> Bool {
    final class Start {
        let name: String
        let body: @Sendable () -> Void
        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }
    let start = unsafe Unmanaged.passRetained(Start(name: String(name.prefix(15)), body: body))
    var attributes = pthread_attr_t()
    unsafe pthread_attr_init(&attributes)
    unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    defer { unsafe pthread_attr_destroy(&attributes) }
    var thread = pthread_t()
    let status = unsafe pthread_create(
        &thread,
        &attributes,
        { argument in
            guard let argument = unsafe argument else { return nil }
            let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
            unsafe platform_set_thread_name(start.name)
            start.body()
            return nil
        },
        start.toOpaque()
    )
    if status != 0 { unsafe start.release() }
    return status == 0
}
