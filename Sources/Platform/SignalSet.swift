internal import Glibc

/// Signals that a thread waits for, instead of being interrupted by them.
public struct SignalSet: Sendable {
    private var signals = sigset_t()

    /// Makes a set of signal numbers.
    public init(_ numbers: CInt...) {
        unsafe sigemptyset(&signals)
        for number in numbers { unsafe sigaddset(&signals, number) }
    }

    /// Keeps them from the calling thread, and from all threads that it starts: they stay pending until somebody waits.
    public func block() {
        var blocked = signals
        unsafe pthread_sigmask(SIG_BLOCK, &blocked, nil)
    }

    /// Waits for one of them, which must be blocked in all threads.
    public func wait() -> CInt {
        var waited = signals
        var number: CInt = 0
        while unsafe sigwait(&waited, &number) != 0 {}
        return number
    }

    /// Has writes that can't be done fail instead of ending the process: to a pipe or socket that nobody reads (`EPIPE`), and beyond the
    /// length that files of this process may have (`EFBIG`, `ulimit -f`).
    public static func ignoreRefusedWrites() {
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
    }
}
