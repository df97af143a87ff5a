internal import Platform

/// Who asks.
public struct Caller: Sendable, Hashable {
    /// The user id, in the daemon's user namespace.
    public var user: UInt32
    /// The group id.
    public var group: UInt32
    /// The *thread* id of the caller; 0 when it lives in a pid namespace that we can't see.
    public var thread: Int32

    /// Makes a caller.
    public init(user: UInt32, group: UInt32, thread: Int32) {
        self.user = user
        self.group = group
        self.thread = thread
    }
}

/// Tells a request that takes its time that its caller no longer waits (a signal arrived).
///
/// Thread-safe. Once raised it stays raised.
public final class Interruption: Sendable {
    private struct State {
        var isRaised = false
        var observer: (@Sendable () -> Void)?
    }

    private let state = Locked(State())

    /// Makes an interruption that has not been raised.
    public init() {}

    /// Whether the caller has stopped waiting.
    public var isRaised: Bool {
        state.withLock { $0.isRaised }
    }

    /// Calls `body` when the interruption is raised, at once if it already was. One observer at a time; nil removes it.
    public func observe(_ body: (@Sendable () -> Void)?) {
        let callNow = state.withLock { state in
            state.observer = body
            return state.isRaised
        }
        if callNow { body?() }
    }

    /// Says that the caller no longer waits.
    public func raise() {
        let observer = state.withLock { state in
            state.isRaised = true
            return state.observer
        }
        observer?()
    }
}

/// How a file is opened: the part of `open(2)`'s flags that a tree needs.
public struct OpenMode: Sendable, Hashable {
    /// The caller wants to read.
    public var reads: Bool
    /// The caller wants to write.
    public var writes: Bool
    /// Every write must be durable before it is answered (`O_SYNC`, `O_DSYNC`).
    public var isSynchronous: Bool
    /// The kernel is asked to keep no pages (`O_DIRECT`).
    public var isDirect: Bool

    /// Of a file that is only read.
    public static let reading = OpenMode(reads: true, writes: false)

    /// Makes a mode.
    public init(reads: Bool, writes: Bool, isSynchronous: Bool = false, isDirect: Bool = false) {
        self.reads = reads
        self.writes = writes
        self.isSynchronous = isSynchronous
        self.isDirect = isDirect
    }
}

/// What `fallocate(2)` may ask of a file.
public enum AllocationRequest: Sendable, Hashable {
    /// Mode 0: make sure that the range is there.
    case allocate
    /// `FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE`.
    case punchHole
    /// `FALLOC_FL_ZERO_RANGE`, with or without `FALLOC_FL_KEEP_SIZE`.
    case zeroRange
}
