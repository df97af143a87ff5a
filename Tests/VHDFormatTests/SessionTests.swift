import BlockDevice
import ByteIO
import TestSupport
import Testing

/// What is left in a file when a session is over (`formats.md` §2.9, §8).
struct SessionTests: WriterFixtures {
    @Test(arguments: SeededGenerator.seeds(6), [1, 2])
    func sessionsDoNotMakeTheFileGrowForEver(_ seed: UInt64, _ depth: Int) throws {
        var random = SeededGenerator(seed: seed)
        let parent = image(.dynamic, full: [0, 1, 2])
        let builder = depth == 1 ? image(.dynamic, full: [1, 3]) : child(full: [1, 3], of: parent)
        let files = [MemoryFile(builder.build().content)] + (depth == 1 ? [] : [MemoryFile(parent.build().content)])
        var sizes: [UInt64] = []
        for _ in 0..<8 {
            let disk = try OpenDisk(files, writable: true)
            let bytes = random.bytes(Int(disk.device.size))
            try disk.device.store(bytes, at: 0)
            try disk.device.synchronize()
            try disk.device.zero(0..<disk.device.size)
            try disk.device.store(Array(bytes[..<20_000]), at: 5000)
            try disk.finish()
            sizes.append(files[0].content.count)
        }
        // A block that was given back may leave room for one more; after that nothing grows.
        #expect(sizes.max() == sizes[1], "\(sizes)")
        #expect(try ReferenceVHD(files[0].content).footersAgree)
    }

    /// A guest that trims what it does not need, and writes elsewhere, every time.
    @Test func freedSpaceOfEarlierSessionsIsUsedAgain() throws {
        let file = MemoryFile(image(.dynamic, full: [1, 2]).build().content)
        var sizes: [UInt64] = []
        for round in 0..<24 as Range<UInt64> {
            let disk = try OpenDisk(file, writable: true)
            let (old, new) = (round % 2 + 1, (round + 1) % 2 + 1)
            try disk.device.store([1], at: (new + 2) * Self.block)
            try disk.device.zero((old + 2) * Self.block..<(old + 3) * Self.block)
            try disk.finish()
            sizes.append(file.content.count)
        }
        // Four blocks are never exceeded; twice that is plenty.
        #expect((sizes.max() ?? 0) <= (sizes.first ?? 0) + 6 * 8192, "\(sizes)")
    }

    @Test func abandonedSessionsDoNotMakeTheFileGrowForEver() throws {
        let file = MemoryFile(image(.dynamic, full: [1]).build().content)
        var sizes: [UInt64] = []
        for round in 0..<6 as Range<UInt64> {
            let recorder = RecordingFile(file.content)
            let disk = try OpenDisk(recorder, writable: true)
            try disk.device.store([1], at: (2 + round % 3) * Self.block)
            // Killed before the table was written: the space stays behind without an owner.
            let operations = recorder.recording.operations.lastIndex { operation in
                if case .write(_, let bytes) = operation { return bytes.count < 600 }
                return false
            }
            file.content = recorder.recording.content(after: operations ?? 0)
            sizes.append(file.content.count)
        }
        #expect((sizes.last ?? 0) <= (sizes.first ?? 0) + 4 * (Self.block + 4096), "\(sizes)")
    }

    @Test(arguments: [511, 512])
    func finishLeavesTwoEqualFootersAndNothingBehindThem(_ footerLength: Int) throws {
        var builder = image(.dynamic, full: [1])
        builder.footerLength = footerLength
        builder.edit(.copy, at: 64, UInt32(5), fixesChecksum: false)
        let file = MemoryFile(builder.build().content)
        let disk = try OpenDisk(file, writable: true)
        try disk.device.store([1], at: Self.block)
        try disk.finish()
        let reference = try ReferenceVHD(file.content)
        #expect(reference.footersAgree)
        let end = reference.blockOffsets.values.max() ?? 0
        #expect(file.content.count <= end + 512 + Self.block + 4096)
        #expect(file.content.count % 512 == 0)
    }

    /// Room may be taken ahead of need; it is not left behind.
    @Test(arguments: VHDBuilder.Alignment.allCases)
    func finishGivesSpareRoomBack(_ alignment: VHDBuilder.Alignment) throws {
        var builder = VHDBuilder(.dynamic, size: 100 * Self.block)
        builder.blockSize = UInt32(Self.block)
        builder.alignment = alignment
        let file = MemoryFile(builder.build().content)
        let disk = try OpenDisk(file, writable: true)
        for block in 0..<90 as Range<UInt64> { try disk.device.store([1], at: block * Self.block) }
        try disk.finish()
        let reference = try ReferenceVHD(file.content)
        let end = (reference.blockOffsets.values.max() ?? 0) + 512 + Self.block
        #expect(file.content.count <= end + 4096)
        #expect(reference.footersAgree)
    }

    @Test func aXenBatmapIsRightOrAbsentAfterBlocksWereFreed() throws {
        for batmap in [VHDBuilder.Batmap.good, .badChecksum] {
            var builder = image(.dynamic, full: [1, 3, 4])
            (builder.creator, builder.creatorVersion, builder.batmap) = ("tap\0", 0x0001_0003, batmap)
            let built = builder.build()
            let file = MemoryFile(built.content)
            let disk = try OpenDisk(file, writable: true)
            try disk.device.zero(Self.block..<2 * Self.block)
            try disk.finish()
            let content = file.content
            let reference = try ReferenceVHD(content)
            let header = built.tableOffset + 512
            guard content[header..<header + 8].elementsEqual(Array("tdbatmap".utf8)) else { continue }
            let map = content[header + 512..<header + 1024]
            let sum = ~map.reduce(into: UInt32(0)) { $0 &+= UInt32($1) }
            // A wrong checksum makes Xen ignore the map, so it may say anything.
            guard content[header + 24..<header + 28] == bigEndian(sum) else { continue }
            for block in 0..<10 as Range<UInt64> where map[Int(block / 8)] & 0x80 >> UInt8(block % 8) != 0 {
                #expect(reference.blockOffsets[block] != nil, "block \(block) is claimed")
            }
        }
    }

    @Test func aXenBatmapNeverClaimsMoreThanTheBitmaps() throws {
        let parent = image(.dynamic, full: Array(0..<10))
        var builder = child(full: [1, 3], of: parent)
        builder.blocks[5] = [true] + [Bool](repeating: false, count: 7)
        (builder.creator, builder.creatorVersion, builder.batmap) = ("tap\0", 0x0001_0003, .good)
        let built = builder.build()
        let files = [MemoryFile(built.content), MemoryFile(parent.build().content)]
        let disk = try OpenDisk(files, writable: true)
        var model = DiskModel(builder.shown(over: parent.shown()))
        try model.perform(.write([1, 2], at: 4 * Self.block + 512), on: disk.device)
        try model.perform(.write([1, 2], at: 5 * Self.block + 1024), on: disk.device)
        try model.perform(.zero(Self.block..<2 * Self.block), on: disk.device)
        try disk.finish()
        let content = files[0].content
        let reference = try ReferenceVHD(content)
        #expect(reference.shown(over: parent.shown()) == model.bytes)
        let map = built.tableOffset + 512
        guard content[map..<map + 8].elementsEqual(Array("tdbatmap".utf8)) else { return }
        let bits = content[map + 512..<map + 514]
        for block in 0..<10 as Range<UInt64> where bits[Int(block / 8)] & 0x80 >> UInt8(block % 8) != 0 {
            let offset = try #require(reference.blockOffsets[block])
            #expect(content[offset..<offset + 1] == [0xFF])
        }
    }
}
