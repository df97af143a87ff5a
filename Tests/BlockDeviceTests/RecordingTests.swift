import BlockDevice
import TestSupport
import Testing

struct RecordingTests {
    /// Two units written, synced, then overwritten and followed by a longer file.
    func recorded() throws -> Recording {
        let file = RecordingFile(SparseBytes([UInt8](repeating: 1, count: 1024)))
        try file.write([UInt8](repeating: 2, count: 512), at: 0)
        try file.synchronize()
        try file.write([UInt8](repeating: 3, count: 1024), at: 0)
        try file.write([UInt8](repeating: 4, count: 512), at: 1024)
        try file.zero(512..<600)
        try file.truncate(to: 1300)
        return file.recording
    }

    @Test func everyPrefixIsWhatTheFileHeldThen() throws {
        let recording = try recorded()
        #expect(recording.operations.count == 6)
        #expect(recording.content(after: 0) == recording.start)
        #expect(recording.content(after: 1)[511..<513] == [2, 1])
        #expect(recording.content(after: 3).bytes == [UInt8](repeating: 3, count: 1024))
        #expect(recording.content(after: 4).count == 1536)
        #expect(recording.content(after: 5)[598..<602] == [0, 0, 3, 3])
        #expect(recording.content(after: 6).count == 1300)
    }

    @Test func whatIsSyncedIsNeverLost() throws {
        let recording = try recorded()
        #expect(recording.durableCount(after: 1) == 0)
        #expect(recording.durableCount(after: 6) == 2)
        let nothing = recording.crashed(after: 6, keepsLength: { _ in false }, keeps: { _, _ in false })
        #expect(nothing == recording.content(after: 2))
        let all = recording.crashed(after: 6, keepsLength: { _ in true }, keeps: { _, _ in true })
        #expect(all == recording.content(after: 6))
    }

    /// A sync stands for what had ended when it began: not for a write that was under way.
    @Test func aSyncLeavesOutWhatRunsBesideIt() throws {
        let recording = Recording(
            start: SparseBytes([UInt8](repeating: 1, count: 1536)),
            operations: [
                .write(offset: 0, bytes: [UInt8](repeating: 2, count: 512)),
                .write(offset: 512, bytes: [UInt8](repeating: 3, count: 512)),
                .synchronize,
                .write(offset: 1024, bytes: [UInt8](repeating: 4, count: 512)),
            ],
            // The first write ends behind the sync, which ends behind the last write.
            ends: [3, 2, 4, 4]
        )
        func firstBytes(after count: Int, _ keeps: Bool) -> [UInt8] {
            let state = recording.crashed(after: count, keepsLength: { _ in keeps }, keeps: { _, _ in keeps })
            return [0, 512, 1024].map { state[$0..<$0 + 1][0] }
        }
        #expect(firstBytes(after: 3, false) == [1, 1, 1])
        #expect(firstBytes(after: 4, false) == [1, 3, 1])
        #expect(firstBytes(after: 4, true) == [2, 3, 4])
        #expect(recording.durableCount(after: 4) == 0)
        var base = recording.base
        recording.advance(&base, to: 4)
        let lost = recording.crashed(after: 4, on: base, keepsLength: { _ in false }, keeps: { _, _ in false })
        #expect(lost[512..<513] == [3])
    }

    @Test func writesTearBetweenUnits() throws {
        let recording = try recorded()
        let torn = recording.crashed(after: 3, keepsLength: { _ in true }, keeps: { _, unit in unit == 1 })
        #expect(torn.bytes == [UInt8](repeating: 2, count: 512) + [UInt8](repeating: 3, count: 512))
    }

    @Test func lengthAndBytesAreIndependent() throws {
        let recording = try recorded()
        let short = recording.crashed(after: 4, keepsLength: { _ in false }, keeps: { _, _ in true })
        #expect(short.bytes == [UInt8](repeating: 3, count: 1024))
        let empty = recording.crashed(after: 4, keepsLength: { _ in true }, keeps: { index, _ in index != 3 })
        #expect(empty.count == 1536)
        #expect(empty[1024..<1536] == [UInt8](repeating: 0, count: 512))
    }

    @Test func chanceGivesManyStatesOfOldAndNewBytesOnly() throws {
        let recording = try recorded()
        var random = SeededGenerator(seed: 1)
        var states: Set<[UInt8]> = []
        for _ in 0..<200 {
            let state = recording.crashed(after: 6, using: &random).bytes
            #expect([1024, 1300, 1536].contains(state.count))
            #expect(state.prefix(512).allSatisfy { $0 == 2 || $0 == 3 })
            states.insert(state)
        }
        #expect(states.count > 8)
    }

    @Test func aFaultyFileFailsOnceAndPassesTheRest() throws {
        let memory = MemoryFile(SparseBytes([1, 2, 3, 4]))
        let faulty = FaultyFile(memory, failing: .write, number: 1, with: DiskError(.noSpace, "full"))
        try faulty.write([9], at: 0)
        #expect(throws: DiskError.self) { try faulty.write([9], at: 1) }
        try faulty.write([9], at: 2)
        #expect(memory.content.bytes == [9, 2, 9, 4])
        #expect(faulty.callCount(of: .write) == 3)

        let partial = FaultyFile(memory) { call in
            switch call.operation {
            case .write: .fail(DiskError(.io, "torn"), done: 1)
            case .read: .shorten(to: 2)
            default: .pass
            }
        }
        #expect(throws: DiskError.self) { try partial.write([7, 7], at: 0) }
        #expect(memory.content.bytes == [7, 2, 9, 4])
        #expect(throws: DiskError.self) { try partial.readBytes("a structure", at: 0, count: 3) }
    }

    @Test func parallelBodiesAllRunAndErrorsSurface() throws {
        let device = MemoryDevice(SparseBytes(count: 8 * 512))
        try inParallel(8) { index in
            try device.store([UInt8](repeating: UInt8(index + 1), count: 512), at: UInt64(index) * 512)
        }
        for index in 0..<8 {
            #expect(try device.contents(UInt64(index) * 512..<UInt64(index) * 512 + 1) == [UInt8(index + 1)])
        }
        #expect(throws: DiskError.self) {
            try inParallel(4) { index in if index == 2 { try device.store([1], at: 8 * 512) } }
        }
    }
}
