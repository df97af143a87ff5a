internal import Glibc

/// A moment of looking again and again, before one sleeps: between processes that answer each other at once, falling asleep and being
/// woken takes longer than what they do.
enum ShortWait {
    private static let moment = Duration.microseconds(80)

    /// Returns when a descriptor can be read from, or after a moment.
    static func untilReadable(_ descriptor: CInt) {
        var question = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        let end = ContinuousClock.now + moment
        // Whoever is to answer may need this processor.
        while unsafe poll(&question, 1, 0) == 0, ContinuousClock.now < end { sched_yield() }
    }
}
