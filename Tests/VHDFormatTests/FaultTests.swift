import BlockDevice
import Synchronization
import TestSupport
import Testing

/// Every call of the host can fail: the user hears of it, and nothing that was acknowledged is lost.
struct FaultTests {
    func failOnce(_ operation: FaultyFile.Operation, _ number: Int, of chain: ChainBuilder) throws -> Bool {
        let files = chain.files()
        var work = FaultyWork(on: files[0].content, showing: chain.shown, failing: operation, number: number) {
            try OpenDisk($0, parents: files.dropFirst(), writable: $1).device
        }
        return try work.run()
    }

    @Test(arguments: FaultyFile.Operation.allCases, [1, 2])
    func everyCallCanFailOnce(_ operation: FaultyFile.Operation, _ depth: Int) throws {
        for seed in 1...2 as ClosedRange<UInt64> {
            var random = SeededGenerator(seed: seed)
            let chain = ChainBuilder(depth: depth, size: 40_000, blockSizes: .small, using: &random)
            var number = 0
            while try failOnce(operation, number, of: chain), number < 200 { number += 1 }
            #expect(number > 0 || [.allocation, .usage, .truncate, .zero].contains(operation))
        }
    }

    @Test(arguments: [0, 1, 2])
    func aFailedSyncPoisonsTheDisk(_ depth: Int) throws {
        var random = SeededGenerator(seed: 5)
        var chain = ChainBuilder(depth: max(1, depth), size: 40_000, blockSizes: .small, using: &random)
        if depth == 0 { chain.layers = [.random(.fixed, size: 40_000, blockSizes: .small, using: &random)] }
        let files = chain.files()
        let fails = Atomic(false)
        let faulty = FaultyFile(files[0]) { call in
            call.operation == .synchronize && fails.load(ordering: .sequentiallyConsistent)
                ? .fail(DiskError(.io, "made to fail", errno: 5)) : .pass
        }
        let disk = try OpenDisk(faulty, parents: files.dropFirst(), writable: true)
        try disk.device.store([1], at: 0)
        try disk.device.synchronize()
        fails.store(true, ordering: .sequentiallyConsistent)
        // The write itself may need a sync, and fail.
        try? disk.device.store([2], at: 0)
        #expect(throws: DiskError.self) { try disk.device.synchronize() }
        fails.store(false, ordering: .sequentiallyConsistent)
        #expect(throws: DiskError.self) { try disk.device.synchronize() }
        #expect(throws: DiskError.self) { try disk.device.store([3], at: 600) }
        #expect(throws: DiskError.self) { try disk.device.synchronize() }
        #expect(throws: DiskError.self) { try disk.finish() }
        _ = try disk.device.contents(0..<100)
    }

    @Test(arguments: SeededGenerator.seeds(6), [1, 2])
    func aFullHostDiskLeavesTheImageUsable(_ seed: UInt64, _ depth: Int) throws {
        var random = SeededGenerator(seed: seed)
        var chain = ChainBuilder(depth: depth, size: 60_000, blockSizes: .small, using: &random)
        let free: UInt64 = chain.layers[0].blocks[1] == nil ? 1 : 2
        chain.layers[0].blocks[free] = nil
        chain.layers[0].blocks[0] = []
        chain.layers[0].order = nil
        // Room between blocks would be used first.
        chain.layers[0].gaps = [:]
        let files = chain.files()
        let start = files[0].content
        let isFull = Atomic(true)
        let partly = seed % 2
        let faulty = FaultyFile(files[0]) { call in
            let grows = call.operation == .write && call.offset + call.count > start.count
            let lengthens = call.operation == .truncate && call.offset > start.count
            guard grows || lengthens, isFull.load(ordering: .sequentiallyConsistent) else { return .pass }
            return .fail(DiskError(.noSpace, "full", errno: 28), done: partly * min(call.count, 100))
        }
        let disk = try OpenDisk(faulty, parents: files.dropFirst(), writable: true)
        var model = DiskModel(chain.shown)
        let blockSize = UInt64(chain.layers[0].blockSize)
        let target = free * blockSize + 100
        do {
            try disk.device.store([1, 2, 3], at: target)
            Issue.record("a write to a full disk succeeds")
        } catch {
            #expect(error.kind == .noSpace)
        }
        try model.check(disk.device)
        #expect(try ReferenceVHD(files[0].content).footersAgree)
        try model.perform(.write([7, 8, 9], at: 5), on: disk.device)
        try disk.device.synchronize()
        isFull.store(false, ordering: .sequentiallyConsistent)
        try model.perform(.write([1, 2, 3], at: target), on: disk.device)
        try model.check(disk.device)
        try disk.finish()
        let reference = try ReferenceVHD(files[0].content)
        #expect(reference.shown(over: chain.shownBelow) == model.bytes)
        #expect(reference.footersAgree)
    }

    /// While a sync waits for the host, another thread changes the very table sectors that the sync is about to write.
    @Test(arguments: [1, 2])
    func whatIsWrittenDuringASyncIsNotLost(_ depth: Int) throws {
        let parent = VHDBuilder(.dynamic, disk: SparseBytes([UInt8](repeating: 7, count: 65_536)), blockSize: 4096)
        var builder = VHDBuilder(.dynamic, size: 65_536)
        builder.blockSize = 4096
        if depth == 2 { builder.setParent(parent, file: "parent.vhd") }
        let parents = depth == 2 ? [MemoryFile(parent.build().content)] : []
        // 0: nothing yet; 1: a sync has begun; 2: the other thread has written.
        let stage = Atomic(0)
        let isArmed = Atomic(false)
        let file = MemoryFile(builder.build().content)
        let faulty = FaultyFile(file) { call in
            guard call.operation == .synchronize, isArmed.load(ordering: .sequentiallyConsistent) else { return .pass }
            isArmed.store(false, ordering: .sequentiallyConsistent)
            stage.store(1, ordering: .sequentiallyConsistent)
            // A provider that lets nobody write during a sync is right too: the wait has an end.
            let deadline = ContinuousClock.now + .milliseconds(300)
            while stage.load(ordering: .sequentiallyConsistent) == 1, ContinuousClock.now < deadline {}
            return .pass
        }
        let disk = try OpenDisk(faulty, parents: parents, writable: true)
        let device = disk.device
        var model = DiskModel(builder.shown(over: depth == 2 ? parent.shown() : nil))
        for block in 0..<4 as Range<UInt64> { try model.perform(.write([1, 2], at: block * 4096), on: device) }
        for block in 8..<12 as Range<UInt64> {
            let first = block
            try model.perform(.write([3], at: (block - 8) * 4096 + 600), on: device)
            isArmed.store(true, ordering: .sequentiallyConsistent)
            stage.store(0, ordering: .sequentiallyConsistent)
            try inParallel(2) { thread in
                if thread == 0 {
                    try device.synchronize()
                    isArmed.store(false, ordering: .sequentiallyConsistent)
                    stage.store(1, ordering: .sequentiallyConsistent)
                } else {
                    while stage.load(ordering: .sequentiallyConsistent) == 0 {}
                    try device.store([9, 9], at: first * 4096 + 100)
                    try device.store([9, 9], at: (first - 8) * 4096 + 2000)
                    stage.store(2, ordering: .sequentiallyConsistent)
                }
            }
            model.bytes.store([9, 9], at: first * 4096 + 100)
            model.bytes.store([9, 9], at: (first - 8) * 4096 + 2000)
            try model.check(device)
        }
        try disk.finish()
        #expect(try ReferenceVHD(file.content).shown(over: depth == 2 ? parent.shown() : nil) == model.bytes)
    }

    /// A reader fetches a sector of the table from a slow host, while another thread changes, syncs and so settles it.
    @Test func aSlowReadOfTheTableDoesNotBringOldEntriesBack() throws {
        var builder = VHDBuilder(.dynamic, size: 65_536)
        builder.blockSize = 4096
        let built = builder.build()
        let stage = Atomic(0)
        let file = MemoryFile(built.content)
        let isArmed = Atomic(false)
        let faulty = SlowFile(file) { offset in
            guard offset == built.tableOffset, isArmed.exchange(false, ordering: .sequentiallyConsistent) else {
                return
            }
            stage.store(1, ordering: .sequentiallyConsistent)
            let deadline = ContinuousClock.now + .milliseconds(500)
            while stage.load(ordering: .sequentiallyConsistent) == 1, ContinuousClock.now < deadline {}
        }
        let disk = try OpenDisk(faulty, writable: true)
        let device = disk.device
        isArmed.store(true, ordering: .sequentiallyConsistent)
        try inParallel(2) { thread in
            if thread == 0 {
                _ = try device.contents(5 * 4096..<6 * 4096)
                stage.store(2, ordering: .sequentiallyConsistent)
            } else {
                while stage.load(ordering: .sequentiallyConsistent) == 0 {}
                try device.store([9], at: 5 * 4096)
                try device.synchronize()
                stage.store(2, ordering: .sequentiallyConsistent)
            }
        }
        #expect(try device.contents(5 * 4096..<5 * 4096 + 2) == [9, 0])
        try disk.finish()
        #expect(try ReferenceVHD(file.content).shown()[5 * 4096..<5 * 4096 + 2] == [9, 0])
    }

    @Test func aFullHostDiskStillDetachesCleanly() throws {
        var builder = VHDBuilder(.dynamic, size: 40_000 / 512 * 512)
        builder.blockSize = 4096
        let file = MemoryFile(builder.build().content)
        let before = try ReferenceVHD(file.content)
        let length = file.content.count
        let faulty = FaultyFile(file) { call in
            call.operation == .write && call.offset + call.count > length ? .fail(DiskError(.noSpace, "full")) : .pass
        }
        let disk = try OpenDisk(faulty, writable: true)
        #expect(throws: DiskError.self) { try disk.device.store([1], at: 0) }
        try disk.device.synchronize()
        try disk.finish()
        let after = try ReferenceVHD(file.content)
        #expect(after.shown() == before.shown())
        #expect(after.footersAgree)
    }

    @Test(arguments: [false, true])
    func aFileThatBecameShortGivesErrorsNeverZeros(_ writable: Bool) throws {
        var builder = VHDBuilder(.dynamic, disk: SparseBytes([UInt8](repeating: 7, count: 32_768)), blockSize: 4096)
        builder.alignment = .packed
        let built = builder.build()
        let last = try #require(built.blockOffsets[7])
        let file = MemoryFile(built.content)
        let disk = try OpenDisk(file, writable: writable)
        _ = try disk.device.contents(0..<100)
        try file.truncate(to: last + 512 + 2048)
        #expect(try disk.device.contents(7 * 4096..<7 * 4096 + 2048) == [UInt8](repeating: 7, count: 2048))
        do {
            let bytes = try disk.device.contents(7 * 4096..<8 * 4096)
            Issue.record("missing bytes read as \(bytes[4095])")
        } catch {
            #expect(error.kind == .io)
        }
        if writable { #expect(throws: DiskError.self) { try disk.device.synchronize() } }
    }

    @Test(arguments: [VHDBuilder.Subtype.fixed, .dynamic])
    func aShortReadGivesAnErrorNeverZeros(_ subtype: VHDBuilder.Subtype) throws {
        let builder = VHDBuilder(subtype, disk: SparseBytes([UInt8](repeating: 7, count: 32_768)), blockSize: 16384)
        let cuts = Atomic(false)
        let faulty = FaultyFile(MemoryFile(builder.build().content)) { call in
            call.operation == .read && cuts.load(ordering: .sequentiallyConsistent)
                ? .shorten(to: Int(call.count / 2)) : .pass
        }
        let disk = try OpenDisk(faulty, writable: false)
        _ = try disk.device.contents(0..<32_768)
        cuts.store(true, ordering: .sequentiallyConsistent)
        do {
            let bytes = try disk.device.contents(0..<10_000)
            #expect(bytes == [UInt8](repeating: 7, count: 10_000), "missing bytes were made up")
        } catch {
            #expect(error.kind == .io)
        }
    }
}

/// A file that calls back when a read has its bytes but has not given them yet.
private final class SlowFile: HostFile {
    private let file: MemoryFile
    private let hasRead: @Sendable (UInt64) -> Void

    init(_ file: MemoryFile, hasRead: @escaping @Sendable (UInt64) -> Void) {
        self.file = file
        self.hasRead = hasRead
    }

    var path: String { file.path }

    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(DiskError) -> Int {
        let count = try file.read(into: &buffer, at: offset)
        hasRead(offset)
        return count
    }

    func size() throws(DiskError) -> UInt64 { try file.size() }
    func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) { try file.write(bytes, at: offset) }
    func synchronize() throws(DiskError) { try file.synchronize() }
    func truncate(to size: UInt64) throws(DiskError) { try file.truncate(to: size) }
    func zero(_ range: Range<UInt64>) throws(DiskError) { try file.zero(range) }
    func usage() throws(DiskError) -> HostUsage { try file.usage() }

    func allocation(at offset: UInt64, limit: UInt64) throws(DiskError) -> HostAllocation {
        try file.allocation(at: offset, limit: limit)
    }
}
