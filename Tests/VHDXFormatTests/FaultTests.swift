import BlockDevice
import Synchronization
import TestSupport
import Testing
import VHDXFormat

/// Every call of the host can fail: the user hears of it, and nothing that was acknowledged is lost.
struct FaultTests {
    @Test(arguments: FaultyFile.Operation.allCases, [1, 2])
    func everyCallCanFailOnce(_ operation: FaultyFile.Operation, _ depth: Int) throws {
        var random = SeededGenerator(seed: UInt64(depth))
        let chain = ChainBuilder(depth: depth, size: 3 << 20, blockSizes: [1 << 20], using: &random)
        let files = chain.files()
        func failOnce(_ number: Int) throws -> Bool {
            var work = FaultyWork(on: files[0].content, showing: chain.shown, failing: operation, number: number) {
                try OpenDisk($0, parents: files.dropFirst(), writable: $1).device
            }
            return try work.run()
        }
        var number = 0
        while try failOnce(number), number < 200 { number += 1 }
        #expect(number > 0 || [.usage, .truncate, .zero].contains(operation))
    }

    @Test(arguments: [VHDXBuilder.Hiding.Part.table, .metadata])
    func aReplayThatFailsIsDoneAgain(_ part: VHDXBuilder.Hiding.Part) throws {
        var builder = VHDXBuilder(
            .dynamic,
            disk: SparseBytes([UInt8](repeating: 7, count: 2 << 20)),
            blockSize: 1 << 20
        )
        builder.hide(part)
        let content = builder.build().content
        for operation in [FaultyFile.Operation.write, .synchronize, .truncate] {
            for number in 0..<8 {
                let file = MemoryFile(content)
                let disk = try OpenDisk(FaultyFile(file, failing: operation, number: number), writable: true)
                var model = DiskModel(builder.shown())
                // The first may fail, and says so; after a failed sync so does the second.
                for _ in 0..<2 {
                    do {
                        try disk.device.store([1, 2], at: 1_100_000)
                        model.bytes.store([1, 2], at: 1_100_000)
                    } catch {
                        #expect(error.kind == .io || error.kind == .poisoned)
                    }
                }
                try? disk.finish()
                let reference = try ReferenceVHDX(file.content)
                var shown = reference.shown()
                // What failed may have been done all the same.
                shown.store(model.bytes[1_100_000..<1_100_002], at: 1_100_000)
                #expect(shown == model.bytes, "\(operation) \(number)")
            }
        }
    }

    @Test(arguments: [1, 2])
    func aFailedSyncPoisonsTheDisk(_ depth: Int) throws {
        var random = SeededGenerator(seed: 5)
        let files = ChainBuilder(depth: depth, size: 3 << 20, blockSizes: [1 << 20], using: &random).files()
        let fails = Atomic(false)
        let faulty = FaultyFile(files[0]) { call in
            call.operation == .synchronize && fails.load(ordering: .sequentiallyConsistent)
                ? .fail(DiskError(.io, "made to fail", errno: 5)) : .pass
        }
        let disk = try OpenDisk(faulty, parents: files.dropFirst(), writable: true)
        try disk.device.store([1], at: 0)
        try disk.device.synchronize()
        fails.store(true, ordering: .sequentiallyConsistent)
        try? disk.device.store([2], at: 0)
        #expect(throws: DiskError.self) { try disk.device.synchronize() }
        fails.store(false, ordering: .sequentiallyConsistent)
        #expect(throws: DiskError.self) { try disk.device.synchronize() }
        #expect(throws: DiskError.self) { try disk.device.store([3], at: 600) }
        #expect(throws: DiskError.self) { try disk.finish() }
        _ = try disk.device.contents(0..<100)
    }

    @Test func aFullHostDiskLeavesTheImageUsable() throws {
        var builder = VHDXBuilder(
            .dynamic,
            disk: SparseBytes([UInt8](repeating: 7, count: 1 << 20)),
            blockSize: 1 << 20
        )
        builder.size = 4 << 20
        builder.disk.resize(to: 4 << 20)
        let content = builder.build().content
        let file = MemoryFile(content)
        let isFull = Atomic(true)
        let faulty = FaultyFile(file) { call in
            let grows = call.operation == .truncate && call.offset > content.count
            return grows && isFull.load(ordering: .sequentiallyConsistent)
                ? .fail(DiskError(.noSpace, "full", errno: 28)) : .pass
        }
        let disk = try OpenDisk(faulty, writable: true)
        var model = DiskModel(builder.shown())
        do {
            try disk.device.store([1, 2, 3], at: 2 << 20)
            Issue.record("a write to a full disk succeeds")
        } catch {
            #expect(error.kind == .noSpace)
        }
        try model.check(disk.device)
        try model.perform(.write([7, 8, 9], at: 5), on: disk.device)
        try disk.device.synchronize()
        #expect(try ReferenceVHDX(file.content).shown() == model.bytes)
        isFull.store(false, ordering: .sequentiallyConsistent)
        try model.perform(.write([1, 2, 3], at: 2 << 20), on: disk.device)
        try disk.finish()
        let reference = try ReferenceVHDX(file.content)
        #expect(reference.shown() == model.bytes)
        #expect(reference.logIsEmpty)
    }

    /// While a sync waits for the host, another thread changes the very table sectors that the sync is about to write.
    @Test(arguments: [1, 2])
    func whatIsWrittenDuringASyncIsNotLost(_ depth: Int) throws {
        let parent = VHDXBuilder(
            .dynamic,
            disk: SparseBytes([UInt8](repeating: 7, count: 16 << 20)),
            blockSize: 1 << 20
        )
        var builder = VHDXBuilder(depth == 2 ? .differencing : .dynamic, size: 16 << 20, blockSize: 1 << 20)
        if depth == 2 { builder.setParent(parent, file: "parent.vhdx") }
        let parents = depth == 2 ? [MemoryFile(parent.build().content)] : []
        let file = MemoryFile(builder.build().content)
        let disk = try OpenDisk(file, parents: parents, writable: true)
        let device = disk.device
        var model = DiskModel(builder.shown(over: depth == 2 ? parent.shown() : nil))
        try inParallel(4) { thread in
            for step in 0..<60 as Range<UInt64> {
                if thread == 0 { try device.synchronize() }
                // Each thread has sectors of its own in every block.
                let offset = ((step % 16) << 20) + UInt64(thread) * 65_536 + step * 512
                try device.store([UInt8(thread + 1), UInt8(step)], at: offset + 10)
            }
        }
        for thread in 0..<4 as Range<UInt64> {
            for step in 0..<60 as Range<UInt64> {
                let offset = ((step % 16) << 20) + thread * 65_536 + step * 512
                model.bytes.store([UInt8(thread + 1), UInt8(step)], at: offset + 10)
            }
        }
        try disk.finish()
        let shown = try ReferenceVHDX(file.content).shown(over: depth == 2 ? parent.shown() : nil)
        #expect(shown.firstDifference(from: model.bytes) == nil)
    }

    @Test(arguments: [false, true])
    func aFileThatBecameShortGivesErrorsNeverZeros(_ writable: Bool) throws {
        let builder = VHDXBuilder(
            .dynamic,
            disk: SparseBytes([UInt8](repeating: 7, count: 2 << 20)),
            blockSize: 1 << 20
        )
        let built = builder.build()
        let last = try #require(built.blockOffsets[1])
        let file = MemoryFile(built.content)
        let disk = try OpenDisk(file, writable: writable)
        _ = try disk.device.contents(0..<100)
        try file.truncate(to: last + 2048)
        #expect(try disk.device.contents(1 << 20..<(1 << 20) + 2048) == [UInt8](repeating: 7, count: 2048))
        do {
            let bytes = try disk.device.contents(1 << 20..<2 << 20)
            Issue.record("missing bytes read as \(bytes[4095])")
        } catch {
            #expect(error.kind == .io)
        }
        if writable { #expect(throws: DiskError.self) { try disk.device.synchronize() } }
    }
}
