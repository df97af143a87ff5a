import BlockDevice
import TestSupport
import Testing
import VHDXFormat

/// A process that is killed at any instant, and a power cut at any instant, lose nothing that was synced and invent nothing
/// (`formats.md` §8).
struct CrashTests {
    func session(_ seed: UInt64, depth: Int, isDamaged: Bool = false) throws -> (CrashSession, SeededGenerator) {
        var random = SeededGenerator(seed: seed)
        var chain = ChainBuilder(depth: depth, size: 3 << 20, blockSizes: [1 << 20], using: &random)
        if isDamaged {
            chain.layers[0].edit(
                [.header1, .header2, .regions1, .regions2][Int(seed % 4)],
                at: 20,
                [1],
                fixesChecksum: false
            )
        }
        return (try CrashSession(chain, steps: 24, using: &random), random)
    }

    @Test(arguments: SeededGenerator.seeds(2), [1, 2])
    func aKilledProcessLosesNothing(_ seed: UInt64, _ depth: Int) throws {
        var (session, random) = try session(seed, depth: depth)
        for count in 0...session.recording.operations.count {
            let state = session.recording.content(after: count)
            try note("after \(count) operations") {
                try session.checkRecovery(state, after: count, using: &random)
            }
        }
    }

    @Test(arguments: SeededGenerator.seeds(4), [1, 2])
    func aPowerCutLosesNothingThatWasSynced(_ seed: UInt64, _ depth: Int) throws {
        var (session, random) = try session(seed, depth: depth)
        for count in 0...session.recording.operations.count {
            try session.checkEveryLoss(after: count)
            guard count % 4 == 0 else { continue }
            let sample = random
            let state = session.recording.crashed(after: count, using: &random)
            try note("after \(count) operations, \(sample)") {
                try session.checkRecovery(state, after: count, using: &random)
            }
        }
    }

    @Test(arguments: SeededGenerator.seeds(2))
    func aPowerCutDuringARepairLosesNothing(_ seed: UInt64) throws {
        var (session, random) = try session(seed, depth: 1, isDamaged: true)
        for count in 0...session.recording.operations.count {
            let state = session.recording.crashed(after: count, using: &random)
            try note("after \(count) operations") { try session.checkRecovery(state, after: count, using: &random) }
        }
    }

    /// The log of an image that was not closed is replayed by the first write; the power goes again meanwhile.
    @Test(arguments: SeededGenerator.seeds(2), [1, 2])
    func aPowerCutDuringAReplayLosesNothing(_ seed: UInt64, _ depth: Int) throws {
        var random = SeededGenerator(seed: seed)
        var chain = ChainBuilder(depth: depth, size: 3 << 20, blockSizes: [1 << 20], using: &random)
        chain.layers[0].hide(.table)
        let session = try CrashSession(chain, steps: 4, using: &random)
        for count in 0...session.recording.operations.count {
            let state = session.recording.crashed(after: count, using: &random)
            try note("after \(count) operations") { try session.checkRecovery(state, after: count, using: &random) }
        }
    }

    /// The crash tests would pass with a provider that forgets to sync if the model of the medium were too kind.
    @Test func theMediumIsCruelEnough() throws {
        var noticed = 0
        for seed in 1...2 as ClosedRange<UInt64> {
            var (session, random) = try session(seed, depth: 2)
            var length = session.recording.start.count
            let operations = session.recording.operations.map { operation -> Recording.Operation in
                switch operation {
                case .truncate(let size): length = size
                case .write(let offset, let bytes): length = max(length, offset + UInt64(bytes.count))
                // A truncation to the length that the file has changes nothing.
                case .synchronize: return .truncate(length)
                case .zero: break
                }
                return operation
            }
            let recording = Recording(start: session.recording.start, operations: operations)
            for count in stride(from: 0, through: operations.count, by: 3) {
                let state = recording.crashed(after: count, using: &random)
                do { try session.checkRecovery(state, after: count, using: &random) } catch { noticed += 1 }
            }
        }
        #expect(noticed > 3)
    }
}

/// Work on a disk that was recorded, with what the disk should show after each step.
struct CrashSession {
    /// What a step has changed, and when: the first and the last operation of the file that belong to it.
    private struct Step {
        let start: Int
        let end: Int
        let shown: SparseBytes
        let isSync: Bool
    }

    let recording: Recording
    private let before: SparseBytes
    private let steps: [Step]
    private let parents: [MemoryFile]
    private let below: SparseBytes?
    /// The pages that any step has touched; the others must be as before.
    private let touched: [Range<UInt64>]

    init(_ chain: ChainBuilder, steps count: Int, using random: inout SeededGenerator) throws {
        let files = chain.files()
        let file = RecordingFile(files[0].content)
        let disk = try OpenDisk(file, parents: files.dropFirst(), writable: true)
        var model = DiskModel(chain.shown)
        var steps: [Step] = []
        var pages: Set<UInt64> = [0, (model.size - 1) / 4096]
        before = model.bytes
        for number in 0...count {
            let start = file.operationCount
            var isSync = number == count
            if number == count {
                try disk.finish()
            } else {
                let step = Self.step(on: model, using: &random)
                pages.formUnion(step.pages)
                if case .synchronize = step { isSync = true }
                try model.perform(step, on: disk.device)
            }
            steps.append(Step(start: start, end: file.operationCount, shown: model.bytes, isSync: isSync))
        }
        recording = file.recording
        self.steps = steps
        parents = Array(files.dropFirst())
        below = chain.shownBelow
        let size = model.size
        touched = pages.sorted().map { $0 * 4096..<min(size, ($0 + 1) * 4096) }
    }

    /// Mostly small changes; now and then a whole block.
    private static func step(on model: DiskModel, using random: inout SeededGenerator) -> DiskModel.Step {
        switch UInt8.random(in: 0..<8, using: &random) {
        case 0, 1: return .synchronize
        case 2: break
        default: return model.randomStep(longest: 6000, using: &random)
        }
        let block = UInt64.random(in: 0..<(model.size + (1 << 20) - 1) >> 20, using: &random)
        return .zero((block << 20)..<min(model.size, (block + 1) << 20))
    }

    /// What each byte may be after a crash behind `count` operations: the value at the last finished sync, or a later one.
    private func allowed(after count: Int) -> [SparseBytes] {
        let synced = steps.lastIndex { $0.isSync && $0.end <= count }
        let later = steps[(synced.map { $0 + 1 } ?? 0)...].prefix { $0.start < count }
        return [synced.map { steps[$0].shown } ?? before] + later.map(\.shown)
    }

    /// The power goes, and of what was not synced nothing has arrived, or all but one operation.
    func checkEveryLoss(after count: Int) throws {
        let open = recording.durableCount(after: count)..<count
        try note("nothing after \(count) operations") {
            try checkShown(
                recording.crashed(after: count, keepsLength: { _ in false }, keeps: { _, _ in false }),
                count
            )
        }
        for lost in open {
            try note("after \(count) operations without \(lost)") {
                try checkShown(
                    recording.crashed(after: count, keepsLength: { $0 != lost }, keeps: { index, _ in index != lost }),
                    count
                )
            }
        }
    }

    private func checkShown(_ state: SparseBytes, _ count: Int) throws {
        let allowed = allowed(after: count)
        let reader = try OpenDisk(MemoryFile(state), parents: parents, writable: false)
        for page in touched { try checkOldOrNew(try reader.device.contents(page), at: page, allowed: allowed) }
    }

    /// Opens what a crash left, compares it, works on, and closes it in good order.
    func checkRecovery(_ state: SparseBytes, after count: Int, using random: inout SeededGenerator) throws {
        let allowed = allowed(after: count)
        let judge = try ReferenceVHDX(state)
        let file = MemoryFile(state)
        let reader = try OpenDisk(file, parents: parents, writable: false)
        guard reader.leaf.facts.replayedEntries == judge.replayedEntries else {
            throw TestSupportError(
                "\(reader.leaf.facts.replayedEntries) entries replayed, not \(judge.replayedEntries)"
            )
        }
        for page in touched { try checkOldOrNew(try reader.device.contents(page), at: page, allowed: allowed) }
        // A session that begins with a bad copy of the region table mends it with its first flush.
        let damage = try VHDXImage.check(file).findings.filter {
            $0.severity == .damaged && !$0.text.hasPrefix("region table")
        }
        guard damage.isEmpty else { throw TestSupportError("damaged: \(damage)") }
        #expect(file.content == state)

        // Judged by another reader, the disk shows the same.
        let writer = try OpenDisk(file, parents: parents, writable: true)
        var model = DiskModel(judge.shown(over: below))
        for _ in 0..<2 {
            let range = random.range(in: model.size, longest: 9000)
            try model.perform(.write(random.bytes(range.count), at: range.lowerBound), on: writer.device)
        }
        try model.check(writer.device)
        try writer.finish()
        let reference = try ReferenceVHDX(file.content)
        guard reference.headersAgree, reference.logIsEmpty, reference.regionTablesAgree else {
            throw TestSupportError("the session after the crash did not leave a clean file")
        }
        if let offset = reference.shown(over: below).firstDifference(from: model.bytes) {
            throw TestSupportError("after the session behind the crash byte \(offset) differs")
        }
    }
}

/// Adds to an error where it happened.
func note(_ place: @autoclosure () -> String, _ body: () throws -> Void) throws {
    do { try body() } catch { throw TestSupportError("\(place()): \(error)") }
}
