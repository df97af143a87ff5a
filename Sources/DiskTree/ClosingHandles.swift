internal import Platform

/// Handles of `ctl` that have probably been closed for good.
///
/// The kernel tells of each `close(2)` before that returns, but of the last one, which ends what the handle holds, a moment later. Whoever attaches
/// right after closing a handle is to find what that has held gone; so an attach waits for that moment. Other copies of the handle may be
/// open, and the wait is in vain then.
final class ClosingHandles: Sendable {
    private static let patience = Duration.milliseconds(50)

    private let closed = Monitor<[UInt64: ContinuousClock.Instant]>([:])

    /// A copy of a handle has been closed.
    func didClose(_ handle: UInt64) {
        closed.update { $0[handle] = .now }
    }

    /// The handle is used again, or it is over and all that it held has ended.
    func forget(_ handle: UInt64) {
        closed.update { $0[handle] = nil }
    }

    /// Waits for the ends of those that were closed just now.
    func wait() {
        let _: Bool? = closed.wait(timeout: Self.patience) { closed in
            closed.values.contains { $0 + Self.patience > .now } ? nil : true
        }
    }
}
