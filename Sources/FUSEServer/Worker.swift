internal import Glibc
internal import Synchronization

/// What one worker is doing, as others see it. Made on its own thread.
final class Worker: Sendable {
    /// Counts the beginnings and ends of requests, so it is odd while there is one.
    private let steps = Atomic<UInt>(0)
    /// The kernel's number of the READ that it answers; 0 when it answers none.
    private let readNumber = Atomic<UInt64>(0)
    private let thread = pthread_self()
    /// It waits for the host, or has been at one request for long: nobody counts on it.
    private let isAway = Atomic(false)

    /// Nobody needs it now.
    let isResting = Atomic(false)

    /// A number that is the same as long as the worker is at the same request; nil when it is at none.
    var request: UInt? {
        let now = steps.load(ordering: .relaxed)
        return now % 2 == 1 ? now : nil
    }

    /// It has taken a request. Only its own thread says so.
    ///
    /// In one order with the lookout's falling asleep, so that the worker sees that or the lookout sees the request.
    func begin() {
        steps.store(steps.load(ordering: .relaxed) &+ 1, ordering: .sequentiallyConsistent)
    }

    /// What it has taken is a READ.
    func isReading(_ number: UInt64) {
        readNumber.store(number, ordering: .relaxed)
    }

    /// Whether it answers that READ.
    func reads(_ number: UInt64) -> Bool {
        readNumber.load(ordering: .relaxed) == number
    }

    /// It is done with it.
    func end() {
        readNumber.store(0, ordering: .relaxed)
        steps.store(steps.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
    }

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
