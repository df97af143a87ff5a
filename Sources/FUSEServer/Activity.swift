internal import FileSystem
internal import Glibc
internal import Platform

/// Who is at work for a session: its workers, and the slow requests that they have handed over.
///
/// The session has ended when the last of them has left. None enters after that, because only those who are here let others in.
final class Activity: Sendable {
    private struct State {
        /// Workers that run or are being started.
        var workers = 0
        /// Of those, the ones whose callers have been sent away.
        var left = 0
        /// The threads of those that run.
        var threads: Set<pthread_t> = []
        /// The requests on threads of their own.
        var slow: [ObjectIdentifier: Interruption] = [:]
        var hasStarted = false
        var isStopping = false
        /// A worker has seen that the session is over.
        var isLeaving = false
        var hasEnded = false
    }

    private let state = Monitor(State())

    /// The signal that makes a worker's `read(2)` return so that it looks whether it is needed, and whether the session is over.
    static let nudgeSignal = SIGUSR1

    init() {
        // Without SA_RESTART, or the kernel would resume the read.
        var action = sigaction()
        unsafe action.__sigaction_handler.sa_handler = { _ in }
        unsafe sigaction(Self.nudgeSignal, &action, nil)
    }

    /// A worker's caller is sent away: another may take its place. False when that has happened to `limit` already.
    func leaveBehind(limit: Int) -> Bool {
        state.update { state in
            guard state.left < limit else { return false }
            state.left += 1
            return true
        }
    }

    /// A worker that was left behind is done.
    func comeBack() {
        state.update { $0.left -= 1 }
    }

    /// Counts a worker that is about to start; false when there are `limit` of them.
    func addWorker(limit: Int) -> Bool {
        state.update { state in
            guard state.workers - state.left < limit else { return false }
            state.workers += 1
            state.hasStarted = true
            return true
        }
    }

    /// The calling thread is a worker from now on, and can be nudged.
    func enterWorker() {
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe sigaddset(&signals, Self.nudgeSignal)
        unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        _ = state.update { $0.threads.insert(pthread_self()) }
    }

    /// The calling thread is no worker any more.
    func leaveWorker() {
        _ = state.update { $0.threads.remove(pthread_self()) }
    }

    /// A worker has ended, or could not be started. True when nobody is left.
    func removeWorker() -> Bool {
        state.update { state in
            state.workers -= 1
            return state.workers == 0 && state.slow.isEmpty
        }
    }

    /// Counts a slow request. When the session is being stopped it had better be quick.
    func addSlow(_ interruption: Interruption) {
        let isStopping = state.update { state in
            state.slow[ObjectIdentifier(interruption)] = interruption
            return state.isStopping
        }
        if isStopping { interruption.raise() }
    }

    /// A slow request has been answered. True when nobody is left.
    func removeSlow(_ interruption: Interruption) -> Bool {
        state.update { state in
            state.slow[ObjectIdentifier(interruption)] = nil
            return state.workers == 0 && state.slow.isEmpty
        }
    }

    /// Whether workers were ever started.
    var hasStarted: Bool {
        state.update { $0.hasStarted }
    }

    /// The first caller stops the session; false for those who come later.
    func beginStop() -> Bool {
        state.update { state in
            defer { state.isStopping = true }
            return !state.isStopping
        }
    }

    /// True for the first worker that sees that the session is over.
    func beginLeaving() -> Bool {
        state.update { state in
            defer { state.isLeaving = true }
            return !state.isLeaving
        }
    }

    /// Asks everybody to leave, again and again: a signal that comes just before `read(2)` is lost. Returns whether they did within `limit`.
    func dismiss(limit: Duration) -> Bool {
        for interruption in state.update({ Array($0.slow.values) }) { interruption.raise() }
        let end = ContinuousClock.now + limit
        while ContinuousClock.now < end {
            state.update { state in
                for thread in state.threads { pthread_kill(thread, Self.nudgeSignal) }
            }
            if waitForEnd(limit: .milliseconds(10)) { return true }
        }
        return false
    }

    /// The session is over.
    func markEnded() {
        state.update { $0.hasEnded = true }
    }

    /// Waits until the session is over; false when `limit` has passed before. True at once if it never began.
    @discardableResult
    func waitForEnd(limit: Duration? = nil) -> Bool {
        state.wait(timeout: limit) { $0.hasEnded || !$0.hasStarted ? true : nil } ?? false
    }
}
