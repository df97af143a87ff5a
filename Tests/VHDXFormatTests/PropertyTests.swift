import BlockDevice
import ByteIO
import TestSupport
import Testing
import VHDXFormat

/// Random sound images against their model.
struct PropertyTests {
    @Test(arguments: SeededGenerator.seeds(40))
    func everySoundChainReadsAsBuilt(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let size = UInt64.random(in: 4096...9 << 20, using: &random)
        let depth = Int.random(in: 1...4, using: &random)
        let chain = ChainBuilder(depth: depth, size: size, blockSizes: .small + [4 << 20], using: &random)
        let files = chain.files()
        let before = files.map(\.content)
        let disk = try OpenDisk(files, writable: false)
        try DiskModel(chain.shown).checkEverywhere(disk.device, using: &random)
        #expect(files.map(\.content) == before)
        for writable in [false, true] {
            let leaf = try OpenDisk(files, writable: writable).leaf
            expect(leaf.facts, of: chain.layers[0])
        }
    }

    /// The same, with all tables of every layer in its log.
    @Test(arguments: SeededGenerator.seeds(15))
    func everySoundChainWithDirtyLogsReadsAsBuilt(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let depth = Int.random(in: 1...3, using: &random)
        var chain = ChainBuilder(depth: depth, size: 6 << 20, blockSizes: .small, using: &random)
        for index in chain.layers.indices { chain.layers[index].hideEverything(using: &random) }
        let files = chain.files()
        let before = files.map(\.content)
        let disk = try OpenDisk(files, writable: false)
        try DiskModel(chain.shown).checkEverywhere(disk.device, using: &random)
        #expect(disk.leaf.facts.replayedEntries > 0)
        expect(disk.leaf.facts, of: chain.layers[0])
        #expect(files.map(\.content) == before)
    }

    /// The first write brings the log into the file, and uses the log's space again: whoever reads meanwhile sees what was there.
    @Test(arguments: SeededGenerator.seeds(4))
    func readersDoNotNoticeTheReplay(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var chain = ChainBuilder(depth: 2, size: 8 << 20, blockSizes: .small, alike: true, using: &random)
        chain.layers[0].hideEverything(using: &random)
        let files = chain.files()
        let device = try OpenDisk(files, writable: true).device
        let model = DiskModel(chain.shown)
        let half = model.size / 2
        try inParallel(3) { thread in
            var random = SeededGenerator(seed: seed << 8 | UInt64(thread))
            for round in 0..<120 {
                guard thread == 0 else {
                    // Nobody writes the first half.
                    try model.check(random.range(in: half, longest: 30_000), of: device)
                    continue
                }
                let range = random.range(in: half, longest: 3000)
                try device.store(random.bytes(range.count), at: half + range.lowerBound)
                if round % 5 == 0 { try device.synchronize() }
            }
        }
        try device.finish()
        try model.check(0..<half, of: OpenDisk(files, writable: false).device)
        #expect(try ReferenceVHDX(files[0].content).logIsEmpty)
    }

    private func expect(_ facts: VHDXFacts, of builder: VHDXBuilder) {
        #expect(facts.diskType.rawValue == "\(builder.subtype)")
        #expect(facts.creator == builder.creator)
        #expect(facts.blockSize == UInt64(builder.blockSize))
        #expect(facts.logicalSectorSize == Int(builder.logicalSectorSize))
        #expect(facts.physicalSectorSize == Int(builder.physicalSectorSize))
        #expect(facts.virtualDiskID.bytes == builder.virtualDiskID)
        #expect(facts.dataWriteGUID.bytes == builder.dataWriteGUID)
        #expect((facts.parent != nil) == (builder.subtype == .differencing))
        #expect((facts.replayedEntries > 0) == (builder.hiding != nil))
        #expect(facts.warnings.isEmpty, "\(facts.warnings)")
    }
}

extension DiskModel {
    /// Compares the whole disk, then random ranges, and every hole that the disk tells of.
    func checkEverywhere(_ device: some BlockDevice, using random: inout SeededGenerator) throws {
        try check(device)
        for _ in 0..<20 { try check(random.range(in: size, longest: 100_000), of: device) }
        try checkHoles(of: device)
    }

    /// Compares the disk where the model has anything, beside it, at both ends, and at random: for disks that are too large to be read.
    func checkSparsely(_ device: some BlockDevice, using random: inout SeededGenerator) throws {
        guard device.size == size else { throw TestSupportError("the disk has \(device.size) bytes, not \(size)") }
        var ranges = [0..<min(size, 70_000), size - min(size, 70_000)..<size]
        for _ in 0..<30 { ranges.append(random.range(in: size, longest: 20_000)) }
        var end: UInt64 = 0
        bytes.forEachStoredPage { offset, page in
            let start = offset - min(offset, 5000)
            if start < end, let last = ranges.popLast() {
                ranges.append(last.lowerBound..<min(size, offset + 9000))
            } else {
                ranges.append(start..<min(size, offset + 9000))
            }
            end = offset + 9000
        }
        for range in ranges {
            for start in stride(from: range.lowerBound, to: range.upperBound, by: 1 << 20) {
                try check(start..<min(range.upperBound, start + 1 << 20), of: device)
            }
        }
    }

    /// Whether all that the disk calls a hole is zero, and everything is covered.
    func checkHoles(of device: some BlockDevice) throws {
        var offset: UInt64 = 0
        while offset < size {
            let run = try device.allocation(at: offset, limit: size)
            guard run.end > offset, run.end <= size else {
                throw TestSupportError("the run at \(offset) ends at \(run.end), the disk at \(size)")
            }
            if !run.isData, SparseBytes(bytes[offset..<run.end]) != SparseBytes(count: run.end - offset) {
                throw TestSupportError("the hole \(offset)..<\(run.end) has bytes")
            }
            offset = run.end
        }
    }
}
