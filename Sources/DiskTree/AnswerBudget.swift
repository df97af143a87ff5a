internal import Platform

/// How much room answers that nobody has read take: whoever may open `ctl` may open it often, and never read.
final class AnswerBudget: Sendable {
    /// The newest bytes that are kept for a handle.
    private static let handleLimit = 1 << 20
    /// The same when the handles of its user hold `userLimit` together.
    private static let leastLimit = 4096
    private static let userLimit = 16 << 20

    private let held = Locked<[UInt32: Int]>([:])

    /// How many bytes a handle of a user may keep.
    func limit(for user: UInt32) -> Int {
        held.withLock { $0[user] ?? 0 } < Self.userLimit ? Self.handleLimit : Self.leastLimit
    }

    /// The answers of a handle have become more, or fewer.
    func change(_ user: UInt32, by count: Int) {
        held.withLock { held in
            let sum = (held[user] ?? 0) + count
            held[user] = sum > 0 ? sum : nil
        }
    }
}
