import Platform
import TestSupport

/// What the programs on the mount have been told, and how far the image file had come by then.
///
/// Each writer has a part of the disk of its own, so for each part there is one row of steps.
final class Diary: Sendable {
    private struct Step {
        /// Operations of the image file that had begun when the call was made.
        let begun: Int
        /// When the call returned.
        let returned: Int
        /// The disk as this writer knows it.
        let shown: SparseBytes
    }

    /// A call that has promised durability.
    private struct Promise {
        /// What had returned before counts.
        let called: Int
        /// Operations of the image file that had begun when it returned.
        let kept: Int
        /// Of its own writer all these steps count: an `O_SYNC` write is durable itself.
        let owner: Int
        let ownSteps: Int
    }

    private struct State {
        var clock = 0
        var steps: [[Step]]
        var pages: [Set<UInt64>]
        var promises: [Promise] = []
    }

    private let state: Locked<State>
    private let before: SparseBytes
    private let file: RecordingFile

    init(_ before: SparseBytes, parts: Int, file: RecordingFile) {
        self.before = before
        self.file = file
        let empty = State(
            steps: [[Step]](repeating: [], count: parts),
            pages: [Set<UInt64>](repeating: [], count: parts)
        )
        state = Locked(empty)
    }

    /// Notes a call that changes a range, after which the disk shows `shown`.
    ///
    /// - Parameter isSynchronous: when it returns, it is durable itself, and so is what had returned before.
    func change(
        _ range: Range<UInt64>,
        by owner: Int,
        to shown: SparseBytes,
        isSynchronous: Bool = false,
        _ body: () throws -> Void
    ) rethrows {
        let begun = file.operationCount
        let called = tick()
        try body()
        let kept = file.operationCount
        state.withLock { state in
            state.clock += 1
            state.steps[owner].append(Step(begun: begun, returned: state.clock, shown: shown))
            state.pages[owner].formUnion(range.lowerBound / 4096...(range.upperBound - 1) / 4096)
            guard isSynchronous else { return }
            let own = state.steps[owner].count
            state.promises.append(Promise(called: called, kept: kept, owner: owner, ownSteps: own))
        }
    }

    /// Notes a call that makes durable whatever had returned before.
    func promise(_ body: () throws -> Void) rethrows {
        let called = tick()
        try body()
        let kept = file.operationCount
        state.withLock { $0.promises.append(Promise(called: called, kept: kept, owner: -1, ownSteps: 0)) }
    }

    private func tick() -> Int {
        state.withLock { state in
            state.clock += 1
            return state.clock
        }
    }

    /// What a part may show when the power goes after `count` operations of the file: what was durable, or something later.
    func allowed(_ owner: Int, after count: Int) -> [SparseBytes] {
        let (steps, promises) = state.withLock { ($0.steps[owner], $0.promises) }
        var durable = 0
        for promise in promises where promise.kept <= count {
            let covered = steps.prefix { $0.returned < promise.called }.count
            durable = max(durable, covered, promise.owner == owner ? promise.ownSteps : 0)
        }
        let first = durable == 0 ? before : steps[durable - 1].shown
        return [first] + steps[durable...].prefix { $0.begun < count }.map(\.shown)
    }

    /// The pages that a writer has changed, at any time.
    func pages(_ owner: Int) -> [UInt64] {
        state.withLock { $0.pages[owner].sorted() }
    }

    /// How many calls have promised durability.
    var promiseCount: Int { state.withLock { $0.promises.count } }
}
