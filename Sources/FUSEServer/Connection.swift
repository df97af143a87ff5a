internal import CFuse
internal import FileSystem
internal import Glibc
internal import SystemPackage

/// The transport: takes requests from the kernel and hands them to libfuse, which calls the operations.
///
/// It owns libfuse's session. Workers, the kernel cache and the session hold it, so that nothing of it goes away under a request.
@safe
final class Connection: @unchecked Sendable {
    private let session: OpaquePointer
    private let server: Server

    /// Lets libfuse parse the options. `context` is what operations find in their requests; the caller keeps it alive.
    init(arguments: [String], context: Server) throws(FUSEError) {
        let (session, words) = unsafe LibraryLog.capture { () -> OpaquePointer? in
            unsafe withCommandLine(arguments) { strings in
                // libfuse puts a copy of its own in the place of ours.
                var arguments = unsafe fuse_args(argc: Int32(arguments.count), argv: strings, allocated: 0)
                defer { unsafe fuse_opt_free_args(&arguments) }
                var operations = lowLevelOperations()
                return unsafe cfuse_session_new(&arguments, &operations, Unmanaged.passUnretained(context).toOpaque())
            }
        }
        guard let session = unsafe session else { throw .invalidOption(words) }
        unsafe self.session = session
        server = context
    }

    deinit {
        unsafe fuse_session_destroy(session)
    }

    /// Mounts; false when that was refused.
    func mount(at path: String) -> Bool {
        guard unsafe fuse_session_mount(session, path) == 0 else { return false }
        var functions = Transport.functions()
        let device = unsafe fuse_session_fd(session)
        server.device = device
        return unsafe fuse_session_custom_io(session, &functions, device) == 0
    }

    /// What waiting for a request has come to.
    enum Reception {
        case request
        /// The request was taken back, or the worker was nudged.
        case nothing
        /// The session is over.
        case end
    }

    /// Waits for a request.
    func receive(_ buffer: RequestBuffer) -> Reception {
        let count = unsafe read(server.device, buffer.memory.mem, RequestBuffer.capacity)
        if hasExited || count == 0 { return .end }
        guard count > 0 else {
            if [EINTR, EAGAIN, ENOENT].contains(errno) { return .nothing }
            exit()
            return .end
        }
        unsafe buffer.memory.size = count
        if !server.agreement.isReached { unsafe server.agreement.hear(buffer.bytes) }
        return .request
    }

    /// The request as a READ, or nil when it is another.
    func readRequest(in buffer: RequestBuffer) -> ReadRequest? {
        unsafe ReadRequest(buffer.bytes, on: server.device)
    }

    /// Has libfuse answer a request; returns when its operation has returned.
    func process(_ buffer: RequestBuffer) {
        unsafe fuse_session_process_buf(session, &buffer.memory)
    }

    /// Answers a request in the place of a worker that is still at it. The kernel passes over the second answer.
    func send(away question: Question, _ error: Errno) {
        let size = MemoryLayout<fuse_out_header>.size
        let reply = fuse_out_header(len: UInt32(size), error: -error.fuseNumber, unique: question.number)
        _ = unsafe withUnsafeBytes(of: reply) { unsafe write(server.device, $0.baseAddress, size) }
    }

    /// Whether the kernel has a request that nobody has taken.
    var hasPending: Bool {
        var question = pollfd(fd: unsafe fuse_session_fd(session), events: Int16(POLLIN), revents: 0)
        return unsafe poll(&question, 1, 0) == 1 && question.revents & Int16(POLLIN) != 0
    }

    /// Whether the session is over.
    var hasExited: Bool {
        unsafe fuse_session_exited(session) != 0
    }

    /// Has workers leave when they next look.
    func exit() {
        unsafe fuse_session_exit(session)
    }

    /// Ends the kernel's side: each caller that still waits, or comes later, gets an error.
    ///
    /// The descriptor's number stays taken, so that the late reply of a stuck worker can't end up in somebody else's file.
    func sever() {
        let descriptor = unsafe fuse_session_fd(session)
        guard descriptor >= 0, let null = try? FileDescriptor.open(FilePath("/dev/null"), .readWrite) else { return }
        _ = try? null.duplicate(as: FileDescriptor(rawValue: descriptor))
        try? null.close()
    }

    /// Tells the kernel to drop pages from `offset` on, `count` bytes, 0 for all; a negative offset drops attributes only.
    func invalidatePages(of node: NodeID, offset: Int64, count: Int64) {
        _ = unsafe fuse_lowlevel_notify_inval_inode(session, node.rawValue, off_t(offset), off_t(count))
    }

    /// Hands the kernel an open file of the host to read from; its number there, or nil.
    func lend(_ descriptor: CInt) -> Int32? {
        var file = cfuse_backing_map(fd: descriptor, flags: 0, padding: 0)
        let number = unsafe cfuse_backing_open(fuse_session_fd(session), &file)
        return number > 0 ? number : nil
    }

    /// Takes a file back. Who has it open reads on.
    func takeBack(_ number: Int32) {
        _ = unsafe cfuse_backing_close(fuse_session_fd(session), number)
    }

    /// Tells the kernel to drop a name.
    func invalidate(name: String, in directory: NodeID) {
        _ = unsafe fuse_lowlevel_notify_inval_entry(session, directory.rawValue, name, name.utf8.count)
    }
}

/// A worker's place for one request.
@safe
final class RequestBuffer {
    /// Bytes in it: the largest write, and what comes before its bytes.
    fileprivate static let capacity = MountOptions.maximumWrite + pageSize
    private static let pageSize = 4096

    fileprivate var memory = unsafe fuse_buf()

    init() {
        unsafe memory.mem = .allocate(byteCount: Self.capacity, alignment: Self.pageSize)
    }

    /// What is asked.
    var question: Question? { unsafe Question(bytes) }

    /// The request's bytes.
    fileprivate var bytes: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: memory.mem, count: memory.size)
    }

    deinit {
        unsafe memory.mem.deallocate()
    }
}
