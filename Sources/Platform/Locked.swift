#if VHDFS_TSAN
internal import Glibc

/// State that only one thread at a time sees.
///
/// ThreadSanitizer does not understand `Synchronization.Mutex` on Linux and reports false races, so its builds use a pthread mutex.
@safe
public final class Locked<State>: @unchecked Sendable {
    /// A state without size would else share its address with what lies behind it, and seem to race with that.
    private struct Cell {
        var state: State
        var end: UInt8 = 0
    }

    private var cell: Cell
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>

    /// Wraps a first state.
    public init(_ state: sending State) {
        cell = Cell(state: state)
        unsafe mutex = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
    }

    deinit {
        unsafe pthread_mutex_destroy(mutex)
        unsafe mutex.deallocate()
    }

    /// Runs `body` while no other thread sees the state. Not recursive.
    public func withLock<R: ~Copyable, E: Error>(_ body: (inout sending State) throws(E) -> sending R) throws(E)
        -> sending R
    {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return try body(&cell.state)
    }
}
#else
public import Synchronization

/// State that only one thread at a time sees.
public struct Locked<State>: ~Copyable, Sendable {
    @usableFromInline
    let mutex: Mutex<State>

    /// Wraps a first state.
    public init(_ state: sending State) {
        mutex = Mutex(state)
    }

    /// Runs `body` while no other thread sees the state. Not recursive.
    @inlinable
    public borrowing func withLock<R: ~Copyable, E: Error>(
        _ body: (inout sending State) throws(E) -> sending R
    ) throws(E) -> sending R {
        try mutex.withLock(body)
    }
}
#endif
