internal import CFuse
public import FileSystem
internal import Glibc
internal import Platform
internal import SystemPackage

/// A tree, served to the kernel.
///
/// `init`, `mount` and `start` come in this order; then the session serves until somebody unmounts it or calls `stop`. Block the signals that
/// the program waits for with `sigwait` before `start`, since threads inherit the mask. SIGUSR1 is the session's own.
public final class FUSESession: Sendable {
    private let options: MountOptions
    private let mountPoint: String
    private let connection: Connection
    private let server: Server
    private let pool: WorkerPool
    private let mounted = Locked<MountedDirectory?>(nil)

    /// How many threads there are to answer requests.
    var workerCount: Int { pool.workers.count }

    /// Makes the kernel forget. Not for threads that answer requests, see `KernelCache`.
    public let cache: any KernelCache

    /// Prepares to serve a tree. Checks the options and the mount point; nothing is mounted yet.
    public init(tree: any FileTree, options: MountOptions) throws(FUSEError) {
        self.options = options
        mountPoint = try Self.resolve(options.mountPoint)
        server = Server(
            tree: tree,
            activity: Activity(),
            readLimit: options.readLimit,
            lendsFiles: options.lendsFiles
        )
        connection = try Connection(arguments: options.libraryArguments(), context: server)
        pool = WorkerPool(connection: connection, server: server, patience: options.patience)
        cache = SessionCache(connection, server.agreement)
        tree.connect(cache)
    }

    deinit {
        // Once started, a session lives on in its workers; without them nobody answers.
        if !server.activity.hasStarted { withdraw() }
    }

    /// Mounts the file system: from now on programs find it, and wait until `start`.
    ///
    /// Standard error is redirected meanwhile; call it before the process has other threads.
    public func mount() throws(FUSEError) {
        let (succeeded, words) = LibraryLog.capture { connection.mount(at: mountPoint) }
        guard succeeded else { throw refusal(words) }
        guard let device = MountedDirectory.Device(at: mountPoint) else {
            connection.sever()
            throw .mountPoint(mountPoint, Errno(rawValue: errno))
        }
        let directory = MountedDirectory(path: mountPoint, device: device)
        mounted.withLock { $0 = directory }
    }

    /// Starts to answer requests.
    ///
    /// `onInitialized` runs once, on a thread of the session, when the file system can be used. It must not wait for the session's end.
    public func start(onInitialized: @escaping @Sendable () -> Void) throws(FUSEError) {
        let directory = mounted.withLock { $0 }
        let hasStarted = pool.start {
            directory?.raiseReadAhead()
            onInitialized()
        }
        guard hasStarted else {
            withdraw()
            throw .noThread
        }
    }

    /// Returns when the session is over: unmounted by somebody, or stopped. By then every open file has been released, except when a
    /// call of the tree still hangs after `stop` has waited for it.
    public func waitUntilEnded() {
        server.activity.waitForEnd()
    }

    /// Ends the session, also while files are open; programs that hold them get ENOTCONN from then on.
    ///
    /// First the kernel hands over changed pages and lets go of the mount point, while requests are still answered, for at most
    /// `limit`. Then slow requests are interrupted, workers sent home and the kernel's side closed. A call of the tree that hangs all that
    /// time is left behind. Further calls only wait for the first. Not for a thread that answers requests.
    public func stop(limit: Duration = .seconds(10)) {
        guard server.activity.beginStop() else { return waitUntilEnded() }
        guard server.activity.hasStarted else { return withdraw() }
        let directory = mounted.withLock { $0 }
        let isDetached = Monitor(false)
        let detach: @Sendable () -> Void = { [pool] in
            directory?.synchronize()
            pool.drain()
            directory?.detach()
            isDetached.update { $0 = true }
        }
        if startThread("fuse-unmount", detach) { _ = isDetached.wait(timeout: limit) { $0 ? true : nil } }
        connection.exit()
        let haveLeft = server.activity.dismiss(limit: Self.grace)
        connection.sever()
        // A severed connection frees whoever waits for it, so the mount point is free soon at the latest now.
        if isDetached.wait(timeout: Self.grace, until: { $0 ? true : nil }) == nil { directory?.detach() }
        if !haveLeft, !server.activity.dismiss(limit: Self.grace) { server.activity.markEnded() }
    }

    /// Takes the mount point back at once, also with files open, if it is still ours.
    public func detach() {
        mounted.withLock { $0 }?.detach()
    }

    /// How long `stop` waits for what should take no time.
    private static let grace = Duration.seconds(2)

    /// Undoes `mount` when nobody serves.
    private func withdraw() {
        connection.exit()
        connection.sever()
        mounted.withLock { $0 }?.detach()
    }

    /// The absolute path of a directory: the program may change its working directory before it unmounts.
    private static func resolve(_ path: String) throws(FUSEError) -> String {
        guard let absolute = unsafe realpath(path, nil) else { throw .mountPoint(path, Errno(rawValue: errno)) }
        defer { unsafe free(absolute) }
        var attributes = stat()
        guard unsafe stat(absolute, &attributes) == 0 else { throw .mountPoint(path, Errno(rawValue: errno)) }
        guard attributes.st_mode & S_IFMT == S_IFDIR else { throw .mountPoint(path, .notDirectory) }
        return unsafe String(cString: absolute)
    }

    /// The reason why libfuse could not mount, as far as it can be told.
    private func refusal(_ words: String) -> FUSEError {
        do {
            try FileDescriptor.open(FilePath("/dev/fuse"), .readWrite).close()
        } catch let error as Errno {
            let missing: [Errno] = [.noSuchFileOrDirectory, .operationNotSupportedByDevice, .noSuchAddressOrDevice]
            if missing.contains(error) || geteuid() == 0 { return .device(error) }
        } catch {}
        if options.allowsOthers, words.contains("user_allow_other") { return .accessByOthersForbidden }
        if words.contains("fusermount3"), words.contains("No such file") { return .helperMissing }
        return .refused(words.isEmpty ? "mounting at \(mountPoint) failed" : words)
    }
}
