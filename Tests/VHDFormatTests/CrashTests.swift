import BlockDevice
import TestSupport
import Testing
import VHDFormat

/// A process that is killed at any instant, and a power cut at any instant, lose nothing that was synced and invent nothing
/// (`formats.md` §8).
struct CrashTests {
    /// Work on a disk that was recorded, with what the disk should show after each step.
    struct Session {
        /// What a step has changed, and when: the first and the last operation of the file that belong to it.
        struct Step {
            let start: Int
            let end: Int
            let shown: SparseBytes
            let isSync: Bool
        }

        let recording: Recording
        let before: SparseBytes
        let steps: [Step]
        let parents: [MemoryFile]
        let below: SparseBytes?

        init(_ chain: ChainBuilder, steps count: Int, using random: inout SeededGenerator) throws {
            let files = chain.files()
            let file = RecordingFile(files[0].content)
            let disk = try OpenDisk(file, parents: files.dropFirst(), writable: true)
            var model = DiskModel(chain.shown)
            var steps: [Step] = []
            before = model.bytes
            for number in 0...count {
                let start = file.operationCount
                var isSync = false
                if number == count {
                    try disk.finish()
                    isSync = true
                } else {
                    let step = model.randomStep(longest: 6000, using: &random)
                    if case .synchronize = step { isSync = true }
                    try model.perform(step, on: disk.device)
                }
                steps.append(Step(start: start, end: file.operationCount, shown: model.bytes, isSync: isSync))
            }
            recording = file.recording
            self.steps = steps
            parents = Array(files.dropFirst())
            below = chain.shownBelow
        }

        /// What each byte may be after a crash behind `count` operations: the value at the last finished sync, or a later one.
        func allowed(after count: Int) -> [SparseBytes] {
            let synced = steps.lastIndex { $0.isSync && $0.end <= count }
            let later = steps[(synced.map { $0 + 1 } ?? 0)...].prefix { $0.start < count }
            return [synced.map { steps[$0].shown } ?? before] + later.map(\.shown)
        }
    }

    func session(_ seed: UInt64, depth: Int, damaged: Bool = false) throws -> (Session, SeededGenerator) {
        var random = SeededGenerator(seed: seed)
        var chain = ChainBuilder(depth: depth, size: 50_000, blockSizes: .small, using: &random)
        if damaged { chain.layers[0].edit(seed % 2 == 0 ? .tail : .copy, at: 64, UInt32(0), fixesChecksum: false) }
        return (try Session(chain, steps: 18, using: &random), random)
    }

    /// Opens what a crash left, compares it, works on, and closes it in good order.
    func checkRecovery(
        _ state: SparseBytes,
        of session: Session,
        allowed: [SparseBytes],
        using random: inout SeededGenerator
    ) throws {
        _ = try ReferenceVHD(state)
        let file = MemoryFile(state)
        let reader = try OpenDisk(file, parents: session.parents, writable: false)
        let shown = SparseBytes(try reader.device.contents(0..<reader.device.size))
        try checkOldOrNew(shown, allowed: allowed)
        // The footer at the end may be missing while the file grows; nothing else may ever be damaged.
        let damage = try VHDImage.check(file).findings.filter { $0.severity == .damaged && !$0.text.contains("footer") }
        guard damage.isEmpty else { throw TestSupportError("damaged: \(damage)") }
        #expect(file.content == state)

        let writer = try OpenDisk(file, parents: session.parents, writable: true)
        var model = DiskModel(shown)
        for _ in 0..<3 {
            let range = random.range(in: model.size, longest: 9000)
            try model.perform(.write(random.bytes(range.count), at: range.lowerBound), on: writer.device)
        }
        try model.check(writer.device)
        try writer.finish()
        let reference = try ReferenceVHD(file.content)
        #expect(reference.shown(over: session.below) == model.bytes)
        #expect(reference.footersAgree)
    }

    @Test(arguments: SeededGenerator.seeds(8), [1, 2])
    func aKilledProcessLeavesAnImageThatEveryReaderTakes(_ seed: UInt64, _ depth: Int) throws {
        var (session, random) = try session(seed, depth: depth)
        for count in 0...session.recording.operations.count {
            let state = session.recording.content(after: count)
            // qemu reads only the copy, libvhdi only the tail: both must be good without any repair.
            #expect(try ReferenceVHD(state).footersAgree, "after \(count) operations")
            try note("after \(count) operations") {
                try checkRecovery(state, of: session, allowed: session.allowed(after: count), using: &random)
            }
        }
    }

    @Test(arguments: SeededGenerator.seeds(10), [1, 2])
    func aPowerCutLosesNothingThatWasSynced(_ seed: UInt64, _ depth: Int) throws {
        var (session, random) = try session(seed, depth: depth)
        for count in 0...session.recording.operations.count {
            for _ in 0..<4 {
                let sample = random
                let state = session.recording.crashed(after: count, using: &random)
                try note("after \(count) operations, \(sample)") {
                    try checkRecovery(state, of: session, allowed: session.allowed(after: count), using: &random)
                }
            }
        }
    }

    @Test(arguments: SeededGenerator.seeds(6))
    func aPowerCutDuringARepairLosesNothing(_ seed: UInt64) throws {
        var (session, random) = try session(seed, depth: 1, damaged: true)
        for count in 0...session.recording.operations.count {
            for _ in 0..<3 {
                let state = session.recording.crashed(after: count, using: &random)
                try note("after \(count) operations") {
                    try checkRecovery(state, of: session, allowed: session.allowed(after: count), using: &random)
                }
            }
        }
    }

    /// Under clear bits lie bytes of somebody else. The block is freed and comes back before a sync: the table in the file
    /// still links it, so the bits must not be durable before the zeros under them are.
    @Test func aBlockThatComesBackNeverShowsWhatLayUnderItsClearBits() throws {
        var random = SeededGenerator(seed: 42)
        var builder = VHDBuilder(
            .dynamic,
            disk: SparseBytes([UInt8](repeating: 0x11, count: 5 * 4096)),
            blockSize: 4096
        )
        builder.blocks[2] = [true, true] + [Bool](repeating: false, count: 6)
        let file = RecordingFile(builder.build().content)
        let disk = try OpenDisk(file, writable: true)
        var model = DiskModel(builder.shown())
        var versions = [model.bytes]
        for step in [.zero(2 * 4096..<3 * 4096), .write([5], at: 2 * 4096 + 700)] as [DiskModel.Step] {
            try model.perform(step, on: disk.device)
            versions.append(model.bytes)
        }
        let recording = file.recording
        for count in 0...recording.operations.count {
            for _ in 0..<100 {
                let state = recording.crashed(after: count, using: &random)
                try note("after \(count) operations") {
                    let device = try OpenDisk(MemoryFile(state), writable: false).device
                    try checkOldOrNew(SparseBytes(device.contents(0..<device.size)), allowed: versions)
                }
            }
        }
    }

    /// A run of the crash tests with a provider that forgets to sync would pass if the model of the medium were too kind.
    @Test func theMediumIsCruelEnough() throws {
        var noticed = 0
        for seed in 1...4 as ClosedRange<UInt64> {
            var (session, random) = try session(seed, depth: 1)
            let forgetful = Recording(
                start: session.recording.start,
                operations: session.recording.operations.map { $0 == .synchronize ? .truncate(.max) : $0 }
            )
            let operations = forgetful.operations.enumerated().map { index, operation in
                operation == .truncate(.max) ? .truncate(session.recording.content(after: index).count) : operation
            }
            let recording = Recording(start: forgetful.start, operations: operations)
            for count in 0...operations.count {
                let state = recording.crashed(after: count, using: &random)
                do {
                    try checkRecovery(state, of: session, allowed: session.allowed(after: count), using: &random)
                } catch {
                    noticed += 1
                }
            }
        }
        #expect(noticed > 10)
    }
}

/// Checks that every byte is that of one of the versions: old or new, but never foreign.
func checkOldOrNew(_ shown: SparseBytes, allowed: [SparseBytes]) throws {
    try checkOldOrNew(0..<shown.count, shown, allowed, unit: 4096)
}

private func checkOldOrNew(
    _ range: Range<UInt64>,
    _ shown: SparseBytes,
    _ allowed: [SparseBytes],
    unit: UInt64
) throws {
    for start in stride(from: range.lowerBound, to: range.upperBound, by: UInt64.Stride(unit)) {
        let part = start..<min(range.upperBound, start + unit)
        let bytes = shown[part]
        if allowed.contains(where: { equalBytes($0[part], bytes) }) { continue }
        if unit > 512 {
            try checkOldOrNew(part, shown, allowed, unit: 512)
            continue
        }
        let versions = Set(allowed.map { $0[part] })
        for index in bytes.indices where !versions.contains(where: { $0[index] == bytes[index] }) {
            throw TestSupportError(
                "byte \(index) of sector \(start / 512) is \(bytes[index]), neither old nor new: "
                    + "\(Set(versions.map { $0[index] }))"
            )
        }
    }
}

/// Adds to an error where it happened.
func note(_ place: @autoclosure () -> String, _ body: () throws -> Void) throws {
    do { try body() } catch { throw TestSupportError("\(place()): \(error)") }
}
