import BlockDevice
import ByteIO
import TestSupport
import Testing
import VHDFormat

/// Random images and random work on them, against a model.
struct PropertyTests {
    @Test(arguments: SeededGenerator.seeds(60))
    func everySoundImageReadsAsBuilt(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let sizes: [UInt32] = [512, 1024, 2048] + .writable
        let size = UInt64.random(in: 512...600_000, using: &random)
        let depth = Int.random(in: 1...4, using: &random)
        let chain = ChainBuilder(depth: depth, size: size, blockSizes: sizes, using: &random)
        let files = chain.files()
        let disk = try OpenDisk(files, writable: false)
        let model = DiskModel(chain.shown)
        try model.check(disk.device)
        for _ in 0..<20 { try model.check(random.range(in: model.size, longest: 50_000), of: disk.device) }
        #expect(disk.leaf.facts.footer.uniqueID.bytes == chain.layers[0].uniqueID)
        #expect(disk.leaf.facts.footer.diskType.rawValue == chain.layers[0].subtype.rawValue)
    }

    @Test(arguments: SeededGenerator.seeds(40))
    func randomWorkMatchesTheModel(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let small = Bool.random(using: &random)
        let size = UInt64.random(in: 5_000...(small ? 90_000 : 900_000), using: &random)
        let depth = Int.random(in: 1...3, using: &random)
        let chain = ChainBuilder(depth: depth, size: size, blockSizes: small ? .small : .writable, using: &random)
        let files = chain.files()
        let parents = files.dropFirst().map(\.content)
        var model = DiskModel(chain.shown)
        for _ in 0..<5 {
            let disk = try OpenDisk(files, writable: true)
            for _ in 0..<25 {
                try model.perform(model.randomStep(longest: small ? 12_000 : 100_000, using: &random), on: disk.device)
            }
            try model.check(disk.device)
            try disk.finish()
            let reference = try ReferenceVHD(files[0].content)
            #expect(reference.shown(over: chain.shownBelow) == model.bytes)
            #expect(reference.footersAgree)
        }
        #expect(files.dropFirst().map(\.content) == parents)
    }

    /// Blocks above 2 MiB have bitmaps of several sectors.
    @Test(arguments: SeededGenerator.seeds(3), [1, 2])
    func largeBlocksAreReadAndWrittenBeyondTheirFirstBitmapSector(_ seed: UInt64, _ depth: Int) throws {
        var random = SeededGenerator(seed: seed)
        var chain = ChainBuilder(depth: depth, size: 12 << 20, blockSizes: [0x40_0000], using: &random)
        var bits = (0..<8192).map { _ in false }
        for sector in [0, 7, 2000, 4095, 4096, 4101, 6000, 8191] { bits[sector] = true }
        chain.layers[0].blocks[0] = bits
        chain.layers[0].order = nil
        for range in chain.layers[0].presentRanges(of: 0) {
            chain.layers[0].disk.store(random.bytes(range.count), at: range.lowerBound)
        }
        let files = chain.files()
        var model = DiskModel(chain.shown)
        let disk = try OpenDisk(files, writable: true)
        try model.check(disk.device)
        for sector in [4090, 4097, 5000, 7777] as [UInt64] {
            for block in [0, 4 << 20] as [UInt64] {
                try model.perform(.write(random.bytes(9 * 512), at: block + sector * 512 + 100), on: disk.device)
            }
        }
        try model.check(disk.device)
        try disk.finish()
        #expect(try ReferenceVHD(files[0].content).shown(over: chain.shownBelow) == model.bytes)
    }

    @Test(arguments: SeededGenerator.seeds(8))
    func threadsOnDisjointRangesDoNotDisturbEachOther(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let depth = Int.random(in: 1...2, using: &random)
        let chain = ChainBuilder(depth: depth, size: 256 << 10, blockSizes: .small + [65536], using: &random)
        let files = chain.files()
        let disk = try OpenDisk(files, writable: true)
        let model = DiskModel(chain.shown)
        let device = disk.device
        let size = device.size
        // Each thread owns every fifth piece of 700 bytes: neighbours share sectors' blocks, and often sectors.
        let threads = 4
        let pieces = Int(size / 700)
        try inParallel(threads + 1) { thread in
            var random = SeededGenerator(seed: seed << 8 | UInt64(thread))
            for round in 0..<2 {
                for piece in stride(from: thread, to: pieces, by: threads + 1).shuffled(using: &random) {
                    let start = UInt64(piece) * 700
                    if thread == threads {
                        // Nobody writes the last thread's pieces.
                        try model.check(start..<start + 700, of: device)
                        continue
                    }
                    try device.store([UInt8](repeating: UInt8(thread * 2 + round + 1), count: 700), at: start)
                    if piece % 7 == 0 { try device.synchronize() }
                    if piece % 11 == 0 {
                        try device.zero(start..<start + 350)
                        try device.store([UInt8](repeating: UInt8(thread * 2 + round + 1), count: 350), at: start)
                    }
                }
            }
        }
        var expected = model
        for piece in 0..<pieces where piece % (threads + 1) != threads {
            let byte = UInt8(piece % (threads + 1) * 2 + 2)
            expected.bytes.store([UInt8](repeating: byte, count: 700), at: UInt64(piece) * 700)
        }
        try expected.check(device)
        try disk.finish()
        #expect(try ReferenceVHD(files[0].content).shown(over: chain.shownBelow) == expected.bytes)
    }

    /// Blocks come and go while others read: a reader may see old or new bytes of its own place, never those of another.
    @Test(arguments: SeededGenerator.seeds(4))
    func readersNeverSeeTheBytesOfAnotherPlace(_ seed: UInt64) throws {
        var builder = VHDBuilder(.dynamic, size: 32 * 4096)
        builder.blockSize = 4096
        let disk = try OpenDisk(MemoryFile(builder.build().content), writable: true)
        let device = disk.device
        try inParallel(4) { thread in
            var random = SeededGenerator(seed: seed << 8 | UInt64(thread))
            for _ in 0..<300 {
                let block = UInt64.random(in: 0..<32, using: &random)
                let range = block * 4096..<(block + 1) * 4096
                switch (thread, UInt8.random(in: 0..<3, using: &random)) {
                case (0...1, _):
                    let bytes = try device.contents(range)
                    let foreign = bytes.first { $0 != 0 && $0 != UInt8(block + 1) }
                    if let foreign { throw TestSupportError("block \(block) shows byte \(foreign)") }
                case (_, 0): try device.zero(range)
                case (_, 1): try device.store([UInt8](repeating: UInt8(block + 1), count: 1000), at: range.lowerBound)
                default: try device.store([UInt8](repeating: UInt8(block + 1), count: 4096), at: range.lowerBound)
                }
            }
        }
        try disk.finish()
    }
}
