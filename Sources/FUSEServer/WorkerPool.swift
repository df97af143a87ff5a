internal import Glibc
internal import Platform
internal import Synchronization

/// The threads that read requests, each until its end.
///
/// There is always an idle one: whoever takes a request and leaves nobody to wait for the next starts another worker first. So requests that
/// hang (an image on a dead network, say) stop nobody else, as long as they are fewer than `limit`.
final class WorkerPool: Sendable {
    /// The most workers at a time.
    static let limit = 64
    /// The most that wait; who comes back to find as many ends. Enough that a steady load does not start and end threads.
    private static let idleLimit = 4

    private let connection: Connection
    private let server: Server
    /// Workers that wait for a request, or are being started to do so.
    private let idle = Atomic(0)

    init(connection: Connection, server: Server) {
        self.connection = connection
        self.server = server
    }

    /// Starts the first worker; the first request, INIT, brings the second. False when the host can't give a thread.
    ///
    /// `onInitialized` runs once, on that worker, when the kernel has the answer to INIT and the tree can be used.
    func start(onInitialized: @escaping @Sendable () -> Void) -> Bool {
        addWorker(onInitialized)
    }

    /// Waits until all that the kernel has asked is done, or the session is over.
    ///
    /// A worker that has just taken a request is not yet counted as busy, hence the second look.
    func drain() {
        var quietLooks = 0
        while quietLooks < 3, !connection.hasExited {
            let isQuiet = !connection.hasPending && idle.load(ordering: .relaxed) == server.activity.workers
            quietLooks = isQuiet ? quietLooks + 1 : 0
            usleep(2000)
        }
    }

    @discardableResult
    private func addWorker(_ onInitialized: (@Sendable () -> Void)? = nil) -> Bool {
        guard server.activity.addWorker(limit: Self.limit) else { return false }
        idle.add(1, ordering: .relaxed)
        let hasStarted = startThread("fuse-worker") { [self] in
            server.activity.enterWorker()
            work(onInitialized)
            server.activity.leaveWorker()
            if connection.hasExited { limitTheEnd() }
            discount()
        }
        if !hasStarted {
            idle.subtract(1, ordering: .relaxed)
            discount()
        }
        return hasStarted
    }

    /// The session is over: a call of the tree that hangs is left behind after a while.
    private func limitTheEnd() {
        guard server.activity.beginLeaving() else { return }
        startThread("fuse-end") { [server] in
            if !server.activity.waitForEnd(limit: Self.endLimit) { server.activity.markEnded() }
        }
    }

    private static let endLimit = Duration.seconds(15)

    private func discount() {
        if server.activity.removeWorker() { server.end() }
    }

    private func work(_ onInitialized: (@Sendable () -> Void)?) {
        let buffer = RequestBuffer()
        var onInitialized = onInitialized
        while connection.receive(buffer) {
            if idle.subtract(1, ordering: .relaxed).newValue == 0 { addWorker() }
            connection.process(buffer)
            if let tell = onInitialized, server.isInitialized.load(ordering: .acquiring) {
                tell()
                onInitialized = nil
            }
            if idle.add(1, ordering: .relaxed).newValue > Self.idleLimit {
                idle.subtract(1, ordering: .relaxed)
                return
            }
        }
    }
}
