import BlockDevice
import ByteIO
import TestSupport
import Testing
import VHDFormat

/// `VHDImage.check`: each kind of damage is found, with its place, and nothing is found where nothing is wrong.
struct CheckTests {
    /// Five blocks of 4 KiB, of which the fourth is not allocated.
    static let dynamic: VHDBuilder = {
        var builder = DamagedTableTests.dynamic
        builder.blocks[3] = nil
        return builder
    }()

    @Test("Sound images are clean", arguments: SeededGenerator.seeds(60))
    func clean(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let subtype = VHDBuilder.Subtype.allCases.randomElement(using: &random) ?? .dynamic
        var builder = VHDBuilder.random(subtype, size: 60_000, blockSizes: [512, 4096, 16384], using: &random)
        // Room for a whole block would be a leak.
        builder.gaps = builder.gaps.filter { $0.value * 512 < UInt64(builder.blockSize) }
        if subtype == .differencing { builder.setParent(VHDBuilder(.dynamic, size: 60_000), file: "p.vhd") }
        let report = try check(builder.build().content)
        #expect(report.count(.damaged) == 0 && report.count(.leak) == 0, "\(report.lines)")
        #expect(report.lines.last?.hasPrefix("result: clean; VHD, \(subtype) disk of") == true, "\(report.lines)")
    }

    @Test("What sessions leave behind is clean", arguments: SeededGenerator.seeds(20))
    func cleanAfterSession(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var builder = VHDBuilder.random(.dynamic, size: 100_000, blockSizes: [4096, 8192], using: &random)
        builder.gaps = [:]
        let file = MemoryFile(builder.build().content)
        let disk = try OpenDisk(file, writable: true)
        var model = DiskModel(builder.shown())
        for _ in 0..<20 {
            try model.perform(.write(random.bytes(3000), at: .random(in: 0...90_000, using: &random)), on: disk.device)
        }
        try disk.finish()
        let report = try check(file.content)
        #expect(report.count(.damaged) == 0 && report.count(.leak) == 0, "\(report.lines)")
    }

    @Test("One damage is one finding", arguments: Damage.all)
    func damage(_ damage: Damage) throws {
        let recorded = RecordingFile(damage.content)
        let report = try VHDImage.check(recorded)
        #expect(report.count(.damaged) == 1, "\(report.lines)")
        for part in damage.mentions {
            #expect(report.lines.first?.contains(part) == true, "\(part) is not in \(report.lines)")
        }
        #expect(report.lines.first?.hasPrefix("damaged: ") == true)
        #expect(report.lines.last?.hasPrefix("result: damaged, 1 finding") == true)
        #expect(recorded.operationCount == 0, "the check has changed the file")
    }

    @Test("Many damages are counted, and not all shown")
    func manyDamages() throws {
        var builder = VHDBuilder(.dynamic, size: 1 << 20)
        builder.blockSize = 4096
        for block in 0..<250 as Range<UInt64> { builder.entryOverrides[block] = 1 << 30 }
        let report = try check(builder.build().content)
        #expect(report.count(.damaged) == 250)
        #expect(report.lines.count == 102, "100 findings, the rest as a number, and the result")
        #expect(report.lines[100] == "damaged: 150 more that are not shown")
    }

    // MARK: Leaks

    @Test("Room for a block that nothing uses is a leak", arguments: [VHDBuilder.Alignment.windows, .packed])
    func leakBetweenBlocks(_ alignment: VHDBuilder.Alignment) throws {
        var builder = Self.dynamic
        builder.alignment = alignment
        builder.gaps[1] = 24
        let built = builder.build()
        let report = try check(built.content)
        #expect(report.count(.damaged) == 0 && report.count(.leak) == 1, "\(report.lines)")
        let end = (built.blockOffsets[0] ?? 0) + 512 + 4096
        let next = built.blockOffsets[1] ?? 0
        #expect(report.leakedBytes == next - end)
        #expect(report.lines.first == "leak: file at offset \(end): \(next - end) bytes that nothing uses")
        #expect(report.lines.last?.hasPrefix("result: not damaged, \(next - end) bytes leaked;") == true)
    }

    @Test("A block that was never linked is a leak behind the data")
    func leakAtTheEnd() throws {
        var builder = Self.dynamic
        builder.entryOverrides[4] = .max
        let report = try check(builder.build().content)
        #expect(report.count(.damaged) == 0 && report.count(.leak) == 1, "\(report.lines)")
    }

    @Test("Bytes behind a fixed disk are a leak")
    func leakOfFixed() throws {
        var builder = VHDBuilder(.fixed, size: 8192)
        builder.edit(.tail, at: 48, UInt64(4096))
        let report = try check(builder.build().content)
        #expect(report.count(.damaged) == 0 && report.leakedBytes == 4096, "\(report.lines)")
    }

    @Test("Room that a larger table keeps for itself is no leak")
    func spareTable() throws {
        var builder = Self.dynamic
        builder.extraEntries = 4000
        let report = try check(builder.build().content)
        #expect(report.count(.damaged) == 0 && report.count(.leak) == 0, "\(report.lines)")
    }

    // MARK: Notes

    @Test("Clear bits of a dynamic disk are worth a note, those of a child are its nature")
    func clearBits() throws {
        var builder = Self.dynamic
        builder.blocks[1] = [true, true, false, true, true, true, true, true]
        let dynamic = try check(builder.build().content)
        #expect(dynamic.count(.damaged) == 0 && dynamic.count(.note) == 1, "\(dynamic.lines)")
        #expect(dynamic.lines[0].hasPrefix("note: 1 allocated blocks") && dynamic.lines[0].contains("block 1"))
        builder.setParent(Self.dynamic, file: "the parent.vhd")
        let child = try check(builder.build().content)
        #expect(child.count(.note) == 1, "\(child.lines)")
        #expect(child.lines[0].contains(".\\the parent.vhd") && child.lines[0].contains("C:\\images"))
    }

    @Test("A block cut where nothing was written is sound")
    func cutBehindTheDisk() throws {
        var builder = Self.dynamic
        builder.blocks[4] = [true, false, false, false, false, false, false, false]
        var built = builder.build()
        let start = built.blockOffsets[4] ?? 0
        let footer = built.content[built.footerOffset..<built.footerOffset + 512]
        built.content.resize(to: start + 512 + 512)
        built.content.store(footer, at: built.content.count)
        let report = try check(built.content)
        #expect(report.count(.damaged) == 0, "\(report.lines)")
    }

    @Test("A batmap with a wrong checksum is ignored by everybody")
    func ignoredBatmap() throws {
        var builder = Self.dynamic
        (builder.creator, builder.creatorVersion, builder.batmap) = ("tap\0", 0x0001_0003, .badChecksum)
        let report = try check(builder.build().content)
        #expect(report.count(.damaged) == 0 && report.count(.note) == 1, "\(report.lines)")
        builder.batmap = .good
        let good = try check(builder.build().content)
        #expect(good.findings.isEmpty, "\(good.lines)")
    }

    // MARK: What can't be checked

    @Test("What is no VHD, or one of a kind that we don't know, is not called damaged")
    func cannotBeChecked() throws {
        var version = Self.dynamic
        version.edit(.copy, .tail, at: 12, UInt32(0x0002_0000))
        var encrypted = Self.dynamic
        (encrypted.creator, encrypted.creatorVersion, encrypted.batmap) = ("tap\0", 0x0001_0003, .encrypted)
        for content in [SparseBytes(count: 100_000), version.build().content, encrypted.build().content] {
            #expect(throws: DiskError.self) { try VHDImage.check(MemoryFile(content)) }
        }
    }

    @Test("A file that can't be read is not called damaged")
    func readError() throws {
        let content = Self.dynamic.build().content
        let counting = FaultyFile(MemoryFile(content)) { _ in .pass }
        _ = try VHDImage.check(counting)
        let count = counting.callCount(of: .read)
        #expect(count > 4)
        for number in 0..<count {
            let file = FaultyFile(MemoryFile(content), failing: .read, number: number)
            #expect { try VHDImage.check(file) } throws: { ($0 as? DiskError)?.kind == .io }
        }
    }

    @Test("Whatever stands in a file, the check comes to an end", arguments: SeededGenerator.seeds(200))
    func hostile(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var builder = VHDBuilder.random(.dynamic, size: 30_000, blockSizes: [512, 4096], using: &random)
        let values: [UInt64] = [0, 1, 511, 512, 0x7FFF_FFFF, 0xFFFF_FFFF, 1 << 63, .max, .max - 511, 1 << 41, 21]
        for _ in 0..<3 {
            let value = values.randomElement(using: &random) ?? 0
            builder.edit(.copy, .tail, at: [16, 40, 48].randomElement(using: &random) ?? 16, value)
            builder.edit(.header, at: [16, 28, 32, 580, 584, 592].randomElement(using: &random) ?? 16, value)
            builder.entryOverrides[0] = UInt32(truncatingIfNeeded: value)
        }
        let recorded = RecordingFile(builder.build().content)
        _ = try? VHDImage.check(recorded)
        #expect(recorded.operationCount == 0)
    }

    private func check(_ content: SparseBytes) throws(DiskError) -> CheckReport {
        try VHDImage.check(MemoryFile(content))
    }
}
