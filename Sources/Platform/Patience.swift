internal import Synchronization
internal import SystemPackage

/// For how long a thread of this process has not got on. One that hangs in a call of the kernel neither computes nor wakes.
public struct ThreadWatch: Sendable {
    private var state: ThreadState?
    private var isBegun = false
    private var lastLook = ContinuousClock.now
    /// How long it has been seen standing still, since it last moved or the watch began.
    public private(set) var stillness = Duration.zero
    /// Whether it has been seen getting on.
    public private(set) var hasMoved = false

    /// What may pass between two looks at most. What is more has not been seen: the machine slept, or this process was stopped.
    private static let longestInterval = Duration.seconds(2)

    /// Begins to watch.
    public init() {}

    /// Looks at the thread.
    public mutating func look(at thread: Int32) {
        let now = ContinuousClock.now
        var found: ThreadState?
        var isUnknown = false
        do {
            found = try ThreadState(thread)
        } catch {
            // Who can't be looked at is not accused.
            isUnknown = error != .noSuchProcess
        }
        let moves = isUnknown || found?.isRunning == true || isBegun && found != state
        if moves { hasMoved = true }
        stillness = moves ? .zero : isBegun ? stillness + min(now - lastLook, Self.longestInterval) : .zero
        (state, isBegun, lastLook) = (found, true, now)
    }
}

/// Runs something on a thread of its own, and waits for it as long as that gets on.
///
/// - Parameter limit: how long it may get nowhere; nil: for ever.
/// - Returns: nil when it has got nowhere for so long. It goes on all the same, and nobody hears what it comes to.
public func runPatiently<R: Sendable>(
    _ name: String,
    limit: Duration?,
    _ body: @escaping @Sendable () -> R
) -> R? {
    guard let limit else { return body() }
    let outcome = Monitor<R?>(nil)
    let thread = WatchedThread()
    let hasStarted = startThread(name) {
        thread.begin()
        let result = body()
        outcome.update { $0 = result }
    }
    guard hasStarted else { return body() }
    return thread.wait(limit: limit) { patience in outcome.wait(timeout: patience) { $0 } }
}

/// A thread that another waits for as long as it gets on.
public final class WatchedThread: Sendable {
    private let number = Atomic<Int32>(0)

    /// Watches the thread that calls `begin`.
    public init() {}

    /// The calling thread is the one.
    public func begin() {
        number.store(ThreadState.ownThread, ordering: .relaxed)
    }

    /// Waits until there is an outcome.
    ///
    /// - Parameters:
    ///   - limit: how long the thread may get nowhere; nil: for ever.
    ///   - outcome: waits for it for so long, for ever if it is given nil; nil when there is none then.
    /// - Returns: nil when the thread has got nowhere for so long.
    public func wait<R>(limit: Duration?, for outcome: (Duration?) -> R?) -> R? {
        guard let limit else { return outcome(nil) }
        var watch = ThreadWatch()
        repeat {
            if let result = outcome(min(limit, .seconds(1))) { return result }
            watch.look(at: number.load(ordering: .relaxed))
        } while watch.stillness < limit
        return nil
    }
}
