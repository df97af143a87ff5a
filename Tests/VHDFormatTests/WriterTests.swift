import BlockDevice
import ByteIO
import TestSupport
import Testing

/// The rules for writers (`formats.md` §2.5, §2.9, §8).
struct WriterTests: WriterFixtures {
    // MARK: Nothing is touched without need

    @Test(arguments: VHDBuilder.Subtype.allCases)
    func openingForWritingAndReadingChangesNothing(_ subtype: VHDBuilder.Subtype) throws {
        let parent = image(.dynamic, full: [1, 2])
        let builder = subtype == .differencing ? child(full: [1, 4], of: parent) : image(subtype, full: [1, 4])
        let file = RecordingFile(builder.build().content)
        let below = subtype == .differencing ? [MemoryFile(parent.build().content)] : []
        let disk = try OpenDisk(file, parents: below, writable: true)
        _ = try disk.device.contents(0..<disk.device.size)
        try disk.device.synchronize()
        try disk.finish()
        #expect(file.recording.operations.allSatisfy { $0 == .synchronize })
    }

    @Test func aParentIsNeverWritten() throws {
        let parent = image(.dynamic, full: [0, 1, 2, 3])
        let parentFile = MemoryFile(parent.build().content)
        let before = parentFile.content
        let disk = try OpenDisk(
            MemoryFile(child(full: [1], of: parent).build().content),
            parents: [parentFile],
            writable: true
        )
        try disk.device.zero(0..<disk.device.size)
        try disk.device.store([UInt8](repeating: 1, count: 30_000), at: 700)
        try disk.finish()
        #expect(parentFile.content == before)
        #expect(throws: DiskError.self) {
            try OpenDisk(parentFile, writable: false).device.store([1], at: 0)
        }
    }

    @Test func whatIsNotUnderstoodIsPreserved() throws {
        var builder = image(.dynamic, full: [1])
        builder.edit(.copy, .tail, at: 86, (0..<426).map { UInt8(truncatingIfNeeded: $0) })
        builder.edit(.header, at: 768, (0..<256).map { UInt8(truncatingIfNeeded: $0) })
        builder.edit(.header, at: 8, UInt64(3))
        builder.locators = [VHDBuilder.Locator("what", [UInt8](repeating: 0xEE, count: 5000))]
        let built = builder.build()
        let file = MemoryFile(built.content)
        let disk = try OpenDisk(file, writable: true)
        for block in 0..<10 as Range<UInt64> { try disk.device.store([1], at: block * Self.block + 5) }
        try disk.finish()
        let after = file.content
        #expect(after[0..<1536] == built.content[0..<1536])
        #expect(
            after[built.tableOffset + 512..<built.headersEnd]
                == built.content[built.tableOffset + 512..<built.headersEnd]
        )
        #expect(after[after.count - 512..<after.count] == builder.footer(.tail))
    }

    /// The first block of an image goes behind the whole table and behind the room of the locators, used or not.
    @Test(arguments: VHDBuilder.Alignment.allCases, [true, false])
    func newBlocksLeaveTheTableAndTheLocatorsAlone(_ alignment: VHDBuilder.Alignment, _ hasLocators: Bool) throws {
        let parent = image(.dynamic, full: [])
        var builder = child(full: [], of: parent)
        builder.alignment = alignment
        builder.extraEntries = 3000
        var roomy = VHDBuilder.Locator("what", [UInt8](repeating: 0xEE, count: 8192))
        (roomy.length, roomy.space) = (20, 8192)
        builder.locators = hasLocators ? builder.locators + [roomy] : []
        let built = builder.build()
        let files = [MemoryFile(built.content), MemoryFile(parent.build().content)]
        let disk = try OpenDisk(files, writable: true)
        try disk.device.store([1], at: 0)
        try disk.finish()
        let reference = try ReferenceVHD(files[0].content)
        #expect((reference.blockOffsets[0] ?? 0) >= built.headersEnd)
        let table = built.tableOffset + 512
        #expect(files[0].content[table..<built.headersEnd] == built.content[table..<built.headersEnd])
    }

    // MARK: Zeros

    @Test func zerosIntoFreeBlocksOfADynamicDiskAllocateNothing() throws {
        let builder = image(.dynamic, full: [1])
        let file = MemoryFile(builder.build().content)
        let before = file.content
        let disk = try OpenDisk(file, writable: true)
        try disk.device.zero(2 * Self.block..<9 * Self.block)
        try disk.device.store([UInt8](repeating: 0, count: 5000), at: 3 * Self.block + 100)
        try disk.finish()
        #expect(try ReferenceVHD(file.content).blockOffsets.keys.sorted() == [1])
        #expect(file.content.count == before.count)
        #expect(try ReferenceVHD(file.content).shown() == builder.shown())
    }

    @Test func punchingABlockGivesItsSpaceBack() throws {
        let builder = image(.dynamic, full: [1, 2, 3, 4])
        let file = MemoryFile(builder.build().content)
        let disk = try OpenDisk(file, writable: true)
        let used = try disk.device.usage().allocatedBytes
        try disk.device.zero(Self.block..<5 * Self.block)
        #expect(try disk.device.contents(0..<disk.device.size) == [UInt8](repeating: 0, count: Int(disk.device.size)))
        #expect(try disk.device.usage().allocatedBytes < used)
        let run = try disk.device.allocation(at: 0, limit: disk.device.size)
        #expect(!run.isData)
        try disk.finish()
        #expect(try ReferenceVHD(file.content).shown() == SparseBytes(count: disk.device.size))
    }

    @Test(arguments: [true, false], [true, false])
    func aPunchedRangeOfAChildIsZeroNeverTheParent(_ isAllocated: Bool, _ writesZeros: Bool) throws {
        let parent = image(.dynamic, full: Array(0..<10))
        let files = [child(full: isAllocated ? [2, 3, 4] : [], of: parent), parent].map {
            MemoryFile($0.build().content)
        }
        var disk = try OpenDisk(files, writable: true)
        var model = DiskModel(SparseBytes(try disk.device.contents(0..<disk.device.size)))
        for range in [
            2 * Self.block..<3 * Self.block, 3 * Self.block + 512..<4 * Self.block,
            5 * Self.block - 100..<6 * Self.block + 77,
        ] {
            let zeros = [UInt8](repeating: 0, count: range.count)
            try model.perform(writesZeros ? .write(zeros, at: range.lowerBound) : .zero(range), on: disk.device)
        }
        try model.check(disk.device)
        try disk.finish()
        disk = try OpenDisk(files, writable: true)
        try model.check(disk.device)
        // A block that was zeroed and is written again in part must not show the parent beside it.
        try model.perform(.write([1], at: 2 * Self.block + 1000), on: disk.device)
        try model.perform(.zero(0..<10 * Self.block), on: disk.device)
        try model.perform(.write([2], at: 7 * Self.block + 1), on: disk.device)
        try model.check(disk.device)
        try disk.finish()
        #expect(try ReferenceVHD(files[0].content).shown(over: parent.shown()) == model.bytes)
    }

    /// The block comes back at a place of which older bits may be remembered.
    @Test(arguments: [true, false])
    func aBlockThatWasFreedAndComesBackHasNothingOfItsOldBits(_ syncs: Bool) throws {
        var builder = image(.dynamic, full: [2])
        builder.blocks[2] = [true, true] + [Bool](repeating: false, count: 6)
        let file = MemoryFile(builder.build().content)
        let disk = try OpenDisk(file, writable: true)
        var model = DiskModel(builder.shown())
        try model.check(disk.device)
        for sector in [4, 6, 1] as [UInt64] {
            try model.perform(.write([5, 6], at: 2 * Self.block + sector * 512 + 9), on: disk.device)
            if syncs { try disk.device.synchronize() }
            try model.perform(.zero(2 * Self.block..<3 * Self.block), on: disk.device)
            if syncs { try disk.device.synchronize() }
            try model.perform(.write([7, 8], at: 2 * Self.block + (sector ^ 7) * 512 + 3), on: disk.device)
            try model.check(disk.device)
        }
        try disk.finish()
        #expect(try ReferenceVHD(file.content).shown() == model.bytes)
        try model.check(OpenDisk(file, writable: false).device)
    }

    // MARK: New blocks

    /// The file's end holds what a crashed session left: a block that nothing refers to.
    @Test(arguments: VHDBuilder.Alignment.allCases, [1, 2])
    func newBlocksAreZeroedWhateverLayThere(_ alignment: VHDBuilder.Alignment, _ depth: Int) throws {
        let parent = image(.dynamic, full: [])
        var builder = depth == 1 ? image(.dynamic, full: [1, 7, 8]) : child(full: [1, 7, 8], of: parent)
        builder.alignment = alignment
        builder.entryOverrides = [7: .max, 8: .max]
        let files = [MemoryFile(builder.build().content)] + (depth == 1 ? [] : [MemoryFile(parent.build().content)])
        var model = DiskModel(SparseBytes(count: 10 * Self.block))
        model.bytes.store(builder.disk[Self.block..<2 * Self.block], at: Self.block)
        let disk = try OpenDisk(files, writable: true)
        try model.check(disk.device)
        for block in [0, 3, 5, 9] as [UInt64] {
            try model.perform(.write([1, 2, 3], at: block * Self.block + 1300), on: disk.device)
        }
        try model.check(disk.device)
        try disk.finish()
        let reference = try ReferenceVHD(files[0].content)
        #expect(reference.shown(over: depth == 1 ? nil : parent.shown()) == model.bytes)
        guard depth == 1 else { return }
        #expect(reference.bitmapsAreFull)
        // What qemu sees, which ignores bitmaps.
        for (block, offset) in reference.blockOffsets {
            let data = files[0].content[offset + 512..<offset + 512 + Self.block]
            #expect(data == model.bytes[block * Self.block..<(block + 1) * Self.block])
        }
    }

    @Test func theGapAndTheOldFooterOfAWindowsImageDoNotShowUp() throws {
        var builder = VHDBuilder(.dynamic, size: 6 << 20)
        builder.blocks = [0: []]
        builder.disk.store([UInt8](repeating: 0x77, count: 2 << 20), at: 0)
        let file = MemoryFile(builder.build().content)
        var model = DiskModel(builder.shown())
        let disk = try OpenDisk(file, writable: true)
        try model.perform(.write([1], at: 3 << 20), on: disk.device)
        try model.check(disk.device)
        try disk.finish()
        let reference = try ReferenceVHD(file.content)
        #expect(reference.shown() == model.bytes)
        let offset = try #require(reference.blockOffsets[1])
        #expect(file.content[offset + 512..<offset + 512 + (1 << 20)].allSatisfy { $0 == 0 })
    }

    @Test(arguments: VHDBuilder.Alignment.allCases, [4096, 65536, 0x8_0000, 0x40_0000] as [UInt32])
    func newBlocksKeepTheFilesAlignment(_ alignment: VHDBuilder.Alignment, _ blockSize: UInt32) throws {
        var builder = VHDBuilder(.dynamic, size: 4 * UInt64(blockSize))
        builder.blockSize = blockSize
        builder.blocks = [2: []]
        builder.disk.store([1], at: 2 * UInt64(blockSize))
        builder.alignment = alignment
        // The first block is off the 4 KiB grid.
        if alignment == .packed { builder.gaps[2] = 2 }
        let file = MemoryFile(builder.build().content)
        let disk = try OpenDisk(file, writable: true)
        for block in [3, 0, 1] as [UInt64] { try disk.device.store([9], at: block * UInt64(blockSize) + 700) }
        try disk.finish()
        let reference = try ReferenceVHD(file.content)
        #expect(reference.blockOffsets.count == 4)
        if alignment == .windows {
            #expect(reference.blockOffsets.values.allSatisfy { ($0 + reference.bitmapLength) % 4096 == 0 })
            #expect(file.content.count % 4096 == 0)
        }
        let used = 4 * (UInt64(blockSize) + reference.bitmapLength)
        #expect(file.content.count < used + 4 * 4096 + 8192)
    }

    // MARK: Limits

    /// 2,040 GiB, and blocks as far out as the table can point.
    @Test func theLargestDiskCanBeUsedToItsEnd() throws {
        var builder = VHDBuilder(.dynamic, size: 2040 << 30)
        let last = builder.size / UInt64(builder.blockSize) - 1
        builder.blocks = [5: [], last: []]
        builder.disk.store([1, 2, 3], at: 5 << 21)
        builder.disk.store([4, 5, 6], at: builder.size - 3)
        builder.order = [last, 5]
        builder.alignment = .packed
        // Block 5 ends at sector 2^32 - 4097: one more block fits behind it, and none in front of the headers.
        builder.headerOffset = ((1 << 32) - 3 * 4097) * 512 - 1024 - (last + 1) * 4
        let file = MemoryFile(builder.build().content)
        let disk = try OpenDisk(file, writable: true)
        #expect(try disk.device.contents(5 << 21..<5 << 21 + 3) == [1, 2, 3])
        #expect(try disk.device.contents(builder.size - 3..<builder.size) == [4, 5, 6])
        try disk.device.store([7, 8, 9], at: builder.size - 4)
        try disk.device.store([7], at: 1 << 40)
        do {
            try disk.device.store([7], at: 1 << 39)
            Issue.record("an entry that does not fit into the table")
        } catch {
            #expect(error.kind == .noSpace)
        }
        try disk.finish()
        let again = try OpenDisk(file, writable: false).device
        #expect(try again.contents(builder.size - 4..<builder.size) == [7, 8, 9, 6])
        #expect(try again.contents(1 << 40..<1 << 40 + 2) == [7, 0])
        #expect(try again.contents(5 << 21..<5 << 21 + 3) == [1, 2, 3])
        #expect(try again.contents(1 << 39..<1 << 39 + 1) == [0])
    }
}
