internal import FileSystem
internal import Glibc
internal import Platform
internal import Synchronization
internal import SystemPackage

/// The threads that read requests, each until its end.
///
/// As few as there are processors are *ready*, the crew: with each more the kernel would wake sleepers while those who are awake could as well go on, which
/// halves the speed. A worker that waits for the host says so first (`Waiting`), and one that has been at a request for long is noticed by the
/// `Lookout`; either way another takes its place. So requests that hang (an image on a dead network, say) stop nobody else, as long as
/// they are fewer than `limit`.
final class WorkerPool: Sendable {
    /// The most workers at a time. Each that writes may hold a MiB, so many more would be too dear.
    static let limit = 256

    /// The most workers that are left behind with requests of which nobody waits for the answer any more; they don't count as workers.
    private static let leftLimit = 512
    /// Of those, how many of one host may be there because their callers were killed: such a host may be well.
    private static let killedLimit = 32

    private struct Bench {
        var workers: [ObjectIdentifier: Worker] = [:]
        /// Workers that nobody needs now, and how many of them have been called.
        var resting = 0
        var called = 0
        var isOver = false
    }

    /// How many rest; further ones end. Enough that a steady load does not start and end threads.
    private static let restLimit = 4
    private static let restTime = Duration.seconds(10)

    private let connection: Connection
    private let server: Server
    /// How many workers are to be ready.
    private let crew: Int
    /// Workers that take requests, or will when they are done with the one at hand: neither away nor resting.
    private let ready = Atomic(0)
    private let bench = Monitor(Bench())
    private let lookout: Lookout
    private let killed = Locked<[UInt64: Int]>([:])

    /// - Parameter patience: how long a request may get nowhere.
    init(connection: Connection, server: Server, patience: Duration?) {
        self.connection = connection
        self.server = server
        crew = min(max(sysconf(Int32(_SC_NPROCESSORS_ONLN)), 2), 8)
        lookout = Lookout(patience: patience)
    }

    /// Starts the first worker; INIT brings the others. False when the host can't give a thread.
    ///
    /// `onInitialized` runs once, on that worker, when the kernel has the answer to INIT and the tree can be used.
    func start(onInitialized: @escaping @Sendable () -> Void) -> Bool {
        addWorker(onInitialized)
    }

    /// Waits until all that the kernel has asked is done, or the session is over.
    ///
    /// A worker that has just taken a request is not yet seen with it, hence the second look.
    func drain() {
        var quietLooks = 0
        while quietLooks < 3, !connection.hasExited {
            let isQuiet = !connection.hasPending && workers.allSatisfy { $0.request == nil || $0.isLeft }
            quietLooks = isQuiet ? quietLooks + 1 : 0
            usleep(2000)
        }
    }

    // MARK: Who is ready

    /// All workers.
    var workers: [Worker] { bench.update { Array($0.workers.values) } }
    /// Whether the kernel has requests that nobody has taken.
    var hasPending: Bool { connection.hasPending }
    /// Whether nobody works any more.
    var isOver: Bool { bench.update { $0.isOver } }

    /// Counts on a worker no longer. Another takes its place only if nobody is left, because waking costs more than many a wait.
    func leave(_ worker: Worker) {
        if worker.goAway() { ready.subtract(1, ordering: .relaxed) }
        callUp(to: 1)
    }

    private func comeBack(_ worker: Worker) {
        if worker.comeBack() { ready.add(1, ordering: .relaxed) }
    }

    /// Sends those away who wait for a worker that has got nowhere for long, which itself is left behind until its host answers.
    func giveUp(_ worker: Worker, at request: UInt, _ question: Question) {
        guard server.activity.leaveBehind(limit: Self.leftLimit) else { return }
        let tree = server.tree
        let host = tree.host(of: question.node)
        // First the tree knows: what its caller does next must not be overtaken by this.
        if let host { tree.didLeave(host, changing: question.changes) }
        leave(worker, at: request, question, .timedOut) {
            if let host { tree.didReturn(host, changing: question.changes) }
        }
    }

    /// Lets one go who has been killed, and can't end before a read that hangs is answered.
    func release(_ worker: Worker, at request: UInt, _ question: Question) {
        let host = host(of: question) ?? 0
        let mayGo = killed.withLock { killed in
            guard killed[host, default: 0] < Self.killedLimit else { return false }
            killed[host, default: 0] += 1
            return true
        }
        guard mayGo else { return }
        let didReturn: @Sendable () -> Void = { [self] in
            killed.withLock { $0[host] = $0[host] == 1 ? nil : ($0[host] ?? 1) - 1 }
        }
        guard server.activity.leaveBehind(limit: Self.leftLimit) else { return didReturn() }
        leave(worker, at: request, question, .interrupted, atReturn: didReturn)
    }

    private func leave(
        _ worker: Worker,
        at request: UInt,
        _ question: Question,
        _ error: Errno,
        atReturn: @escaping @Sendable () -> Void
    ) {
        // The caller may close the file now, and the worker is still in it.
        let open = server.openObject(question.words.0) ?? server.openObject(question.words.1)
        let isLeft = worker.leaveBehind(request) { [server] in
            withExtendedLifetime(open) {}
            server.activity.comeBack()
            atReturn()
        }
        if isLeft { connection.send(away: question, error) }
    }

    /// What the requests of a node wait for.
    func host(of question: Question) -> UInt64? { server.tree.host(of: question.node) }

    /// Sees to it that so many are ready, as far as there are threads to be had.
    func callUp(to count: Int) {
        while ready.load(ordering: .relaxed) < count {
            let isCalled = bench.update { bench in
                guard bench.resting > bench.called else { return false }
                bench.called += 1
                return true
            }
            if isCalled {
                ready.add(1, ordering: .relaxed)
            } else if !addWorker() {
                return
            }
        }
    }

    /// Has those leave who wait for requests and were called for others that hung.
    func sendSurplusHome() {
        guard ready.load(ordering: .relaxed) > crew else { return }
        // A thread stays on the bench as long as it can be sent a signal.
        bench.update { bench in
            for worker in bench.workers.values where worker.request == nil { worker.nudge() }
        }
    }

    /// Whether the calling worker is to go on: it rests while there are enough without it.
    private func isNeeded(_ worker: Worker) -> Bool {
        var count = ready.load(ordering: .relaxed)
        while count > crew {
            let (isOurs, now) = ready.weakCompareExchange(expected: count, desired: count - 1, ordering: .relaxed)
            if isOurs { return rest(worker) }
            count = now
        }
        return true
    }

    /// Rests until it is called; false when it never was.
    private func rest(_ worker: Worker) -> Bool {
        worker.isResting.store(true, ordering: .relaxed)
        defer { worker.isResting.store(false, ordering: .relaxed) }
        let mayRest = bench.update { bench in
            guard bench.resting < Self.restLimit, !bench.isOver else { return false }
            bench.resting += 1
            return true
        }
        guard mayRest else { return false }
        func answerCall(_ bench: inout Bench) -> Bool {
            guard bench.called > 0 else { return false }
            bench.called -= 1
            bench.resting -= 1
            return true
        }
        let wasCalled = bench.wait(timeout: Self.restTime) { answerCall(&$0) ? true : $0.isOver ? false : nil }
        if wasCalled == true { return true }
        return bench.update { bench in
            if answerCall(&bench) { return true }
            bench.resting -= 1
            return false
        }
    }

    // MARK: Threads

    @discardableResult
    private func addWorker(_ onInitialized: (@Sendable () -> Void)? = nil) -> Bool {
        guard server.activity.addWorker(limit: Self.limit) else { return false }
        ready.add(1, ordering: .relaxed)
        let hasStarted = startThread("fuse-worker") { [self] in
            server.activity.enterWorker()
            work(onInitialized)
            server.activity.leaveWorker()
            if connection.hasExited { limitTheEnd() }
            discount()
        }
        if !hasStarted {
            ready.subtract(1, ordering: .relaxed)
            discount()
        }
        return hasStarted
    }

    /// The session is over: a call of the tree that hangs is left behind after a while.
    private func limitTheEnd() {
        bench.update { $0.isOver = true }
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
        let worker = Worker()
        bench.update { $0.workers[ObjectIdentifier(worker)] = worker }
        defer { bench.update { $0.workers[ObjectIdentifier(worker)] = nil } }
        let listener = Waiting.Listener(
            willWait: { [self] in leave(worker) },
            didWait: { [self] in comeBack(worker) }
        )
        Waiting.tell(listener) { answerRequests(worker, onInitialized) }
    }

    private func answerRequests(_ worker: Worker, _ onInitialized: (@Sendable () -> Void)?) {
        let buffer = RequestBuffer()
        var onInitialized = onInitialized
        repeat {
            switch connection.receive(buffer) {
            case .request: break
            case .nothing: continue
            case .end: return
            }
            guard let question = buffer.question else { continue }
            worker.begin(question)
            lookout.wake(for: self)
            if let read = connection.readRequest(in: buffer) {
                read.answer()
            } else if !interruptsRead(question) {
                connection.process(buffer)
            }
            worker.end()
            comeBack(worker)
            if let tell = onInitialized, server.isInitialized.load(ordering: .acquiring) {
                tell()
                onInitialized = nil
                callUp(to: crew)
            }
        } while isNeeded(worker)
    }

    /// Whether a request is the INTERRUPT of a READ. No read can be called off, and libfuse, which knows nothing of our READs, would keep the
    /// INTERRUPT in case they come later.
    private func interruptsRead(_ interrupt: Question) -> Bool {
        guard let number = interrupt.interrupted else { return false }
        return workers.contains { worker in
            guard let question = worker.request.flatMap({ worker.question($0) }) else { return false }
            return question.number == number && question.isRead
        }
    }
}
