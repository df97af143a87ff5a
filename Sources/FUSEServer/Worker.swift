internal import Glibc
internal import Platform
internal import Synchronization

/// What one worker is doing, as others see it. Made on its own thread.
final class Worker: Sendable {
    /// Counts the beginnings and ends of requests, so it is odd while there is one.
    private let steps = Atomic<UInt>(0)
    private let current = SharedQuestion()
    private let thread = pthread_self()
    let threadNumber = ThreadState.ownThread
    /// It waits for the host, or has been at one request for long: nobody counts on it.
    private let isAway = Atomic(false)
    /// Its caller has been sent away, and what is to be done when it comes back.
    private let isLeftBehind = Atomic(false)
    private let atReturn = Locked<(@Sendable () -> Void)?>(nil)

    /// Nobody needs it now.
    let isResting = Atomic(false)

    /// A number that is the same as long as the worker is at the same request; nil when it is at none.
    var request: UInt? {
        let now = steps.load(ordering: .acquiring)
        return now % 2 == 1 ? now : nil
    }

    /// What it is asked in the request of that number; nil when it is at another.
    func question(_ request: UInt) -> Question? {
        let question = current.load()
        return steps.load(ordering: .relaxed) == request ? question : nil
    }

    /// It has taken a request. Only its own thread says so.
    ///
    /// In one order with the lookout's falling asleep, so that the worker sees that or the lookout sees the request.
    func begin(_ question: Question) {
        current.store(question)
        steps.store(steps.load(ordering: .relaxed) &+ 1, ordering: .sequentiallyConsistent)
    }

    /// It is done with it.
    func end() {
        // In one order with `leaveBehind`: one of the two sees the other.
        steps.store(steps.load(ordering: .relaxed) &+ 1, ordering: .sequentiallyConsistent)
        if isLeftBehind.load(ordering: .sequentiallyConsistent) { returnIfLeft() }
    }

    /// Whoever waits for its request is about to be sent away. `atReturn` runs when it comes back: at once, and the answer is false, if it already
    /// has.
    func leaveBehind(_ request: UInt, atReturn: @escaping @Sendable () -> Void) -> Bool {
        self.atReturn.withLock { $0 = atReturn }
        isLeftBehind.store(true, ordering: .sequentiallyConsistent)
        if steps.load(ordering: .sequentiallyConsistent) == request { return true }
        returnIfLeft()
        return false
    }

    private func returnIfLeft() {
        let body = atReturn.withLock { atReturn in
            defer { atReturn = nil }
            return atReturn
        }
        isLeftBehind.store(false, ordering: .relaxed)
        body?()
    }

    /// Whether nobody waits for its request any more.
    var isLeft: Bool { isLeftBehind.load(ordering: .relaxed) }

    /// Has it look whether it is needed, if it waits for a request.
    func nudge() {
        pthread_kill(thread, Activity.nudgeSignal)
    }

    /// False if it was away already.
    func goAway() -> Bool {
        !isAway.exchange(true, ordering: .relaxed)
    }

    /// False if it was not away.
    func comeBack() -> Bool {
        isAway.load(ordering: .relaxed) && isAway.exchange(false, ordering: .relaxed)
    }
}
