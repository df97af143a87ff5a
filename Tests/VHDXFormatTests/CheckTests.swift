import BlockDevice
import ByteIO
import TestSupport
import Testing
import VHDXFormat

/// `VHDXImage.check`: each kind of damage is found, with its place, and nothing is found where nothing is wrong.
struct CheckTests {
    /// Four blocks of 1 MiB at 4, 5, 6 and 7 MiB.
    static let dynamic: VHDXBuilder = {
        var builder = VHDXBuilder(.dynamic, size: 6 << 20, blockSize: 1 << 20)
        for block in 0..<4 as Range<UInt64> { builder.blocks[block] = .full }
        return builder
    }()

    /// The same with a parent, and with block 1 partially present: its bitmap is at 4 MiB, the blocks behind it.
    static let child: VHDXBuilder = {
        var builder = dynamic
        builder.blocks[1] = .init(.partiallyPresent, present: (0..<2048).map { $0 % 3 == 0 })
        builder.setParent(VHDXBuilder(.dynamic, size: 6 << 20), file: "p.vhdx")
        return builder
    }()

    @Test("Sound images are clean, with and without a log", arguments: SeededGenerator.seeds(30))
    func clean(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let subtype = VHDXBuilder.Subtype.allCases.randomElement(using: &random) ?? .dynamic
        var builder = VHDXBuilder.random(subtype, size: 5 << 20, blockSizes: [1 << 20, 2 << 20], using: &random)
        // A free MiB would be a leak.
        (builder.gaps, builder.surplusLength) = ([:], min(builder.surplusLength, 4096))
        if subtype == .differencing { builder.setParent(VHDXBuilder(.dynamic, size: 5 << 20), file: "p.vhdx") }
        let isDirty = Bool.random(using: &random)
        if isDirty { builder.hideEverything(using: &random) }
        let report = try check(builder.build().content)
        #expect(report.count(.damaged) == 0 && report.count(.leak) == 0, "\(report.lines)")
        #expect(report.lines.contains { $0.hasPrefix("note: the log has ") } == isDirty, "\(report.lines)")
        #expect(report.lines.last?.hasPrefix("result: clean; VHDX, \(subtype) disk of") == true, "\(report.lines)")
    }

    @Test("One damage is one finding", arguments: Damage.all)
    func damage(_ damage: Damage) throws {
        let recorded = RecordingFile(damage.content)
        let report = try VHDXImage.check(recorded)
        #expect(report.count(.damaged) == 1, "\(report.lines)")
        for part in damage.mentions {
            #expect(report.lines.first?.contains(part) == true, "\(part) is not in \(report.lines)")
        }
        #expect(report.lines.first?.hasPrefix("damaged: ") == true)
        #expect(recorded.operationCount == 0, "the check has changed the file")
    }

    @Test("Many damages are counted, and not all shown")
    func manyDamages() throws {
        var builder = VHDXBuilder(.dynamic, size: 1 << 30, blockSize: 1 << 20)
        for block in 0..<250 as Range<UInt64> { builder.entryOverrides[block] = 4 }
        let report = try check(builder.build().content)
        #expect(report.count(.damaged) == 250)
        #expect(report.lines.count == 102, "100 findings, the rest as a number, and the result")
    }

    // MARK: Leaks

    @Test("A MiB that nothing uses is a leak")
    func leak() throws {
        var builder = Self.dynamic
        builder.gaps[2] = 3
        let report = try check(builder.build().content)
        #expect(report.count(.damaged) == 0 && report.count(.leak) == 1, "\(report.lines)")
        #expect(report.leakedBytes == 3 << 20)
        #expect(report.lines.first == "leak: file at offset \(6 << 20): \(3 << 20) bytes that nothing uses")
    }

    @Test("A little room behind the regions, as QEMU leaves it, is none", arguments: [1, 4, 5] as [UInt64])
    func roomBehindTheRegions(_ count: UInt64) throws {
        var builder = Self.dynamic
        builder.gaps[0] = count
        let report = try check(builder.build().content)
        #expect(report.count(.note) == (count <= 4 ? 1 : 0), "\(report.lines)")
        #expect(report.leakedBytes == (count <= 4 ? 0 : count << 20), "\(report.lines)")
    }

    @Test("What lies behind the last block is a leak in whole MiB", arguments: [512, 1 << 20, (5 << 20) + 512])
    func leakAtTheEnd(_ surplus: UInt64) throws {
        var builder = Self.dynamic
        builder.surplusLength = surplus
        let report = try check(builder.build().content)
        #expect(report.count(.damaged) == 0 && report.leakedBytes == surplus & ~0xF_FFFF, "\(report.lines)")
    }

    @Test("Room that a block keeps is no leak, and may collide with another block")
    func anchors() throws {
        var builder = Self.dynamic
        builder.blocks[1] = .init(.unmapped, isAnchored: true)
        builder.blocks[2] = .init(.undefined, isAnchored: true)
        let kept = try check(builder.build().content)
        #expect(kept.findings.isEmpty, "\(kept.lines)")
        builder.entryOverrides[1] = 3 | 4 << 20
        builder.entryOverrides[2] = 1 | 1 << 43
        let collided = try check(builder.build().content)
        #expect(collided.count(.damaged) == 0 && collided.leakedBytes == 2 << 20, "\(collided.lines)")
    }

    @Test("A block that the log has linked is no leak")
    func linkedByTheLog() throws {
        var builder = Self.dynamic
        builder.hide(.table)
        let report = try check(builder.build().content)
        #expect(report.count(.damaged) == 0 && report.count(.leak) == 0, "\(report.lines)")
        #expect(report.lines.last?.contains("4 of 6 blocks") == true)
    }

    // MARK: Notes

    @Test("A child names its parent")
    func parent() throws {
        let report = try check(Self.child.build().content)
        #expect(report.count(.damaged) == 0 && report.count(.leak) == 0 && report.count(.note) == 1, "\(report.lines)")
        #expect(report.lines[0].contains(guidText(Self.child.dataWriteGUID)) == false)
        let parent = VHDXBuilder(.dynamic, size: 6 << 20)
        #expect(report.lines[0].lowercased().contains(guidText(parent.dataWriteGUID).lowercased()), "\(report.lines)")
        #expect(report.lines[0].contains(".\\p.vhdx"))
    }

    @Test("What is legal and strange is a note")
    func notes() throws {
        var number = Self.dynamic
        number.sequences = (.max - 1, .max)
        var zero = Self.dynamic
        zero.entryOverrides[1] = 2 | 5 << 20
        var longer = Self.dynamic
        longer.logGUID = [UInt8](repeating: 9, count: 16)
        longer.logEntries = [.init(1)]
        longer.logEntries[0].lastFileOffset = (8 << 20) + 4096
        // Power may go while the header that does not count is written.
        var checksum = Self.dynamic
        checksum.edit(.header1, at: 4, UInt32(7), fixesChecksum: false)
        var signature = Self.dynamic
        signature.edit(.header2, at: 0, [0])
        for (builder, words) in [
            (number, "sequence number"), (zero, "state ZERO"), (longer, "1 entries"),
            (checksum, "header 1 at offset 65536: its checksum is 0x7,"),
            (signature, "header 2 at offset 131072: the signature 'head' is missing"),
        ] {
            let report = try check(builder.build().content)
            #expect(report.count(.damaged) == 0 && report.count(.note) > 0, "\(report.lines)")
            #expect(report.lines.contains { $0.hasPrefix("note: ") && $0.contains(words) }, "\(report.lines)")
        }
        let grown = try check(longer.build().content)
        #expect(grown.lines.contains { $0.contains("makes the file 4096 bytes longer") }, "\(grown.lines)")
    }

    // MARK: What can't be checked

    @Test("What is no VHDX, or one of a kind that we don't know, is not called damaged")
    func cannotBeChecked() throws {
        var version = Self.dynamic
        version.edit(.header1, .header2, at: 66, UInt16(2))
        var region = Self.dynamic
        region.extraRegions = [.init(guid: [UInt8](repeating: 7, count: 16), offset: 4 << 20, length: 1 << 20)]
        region.payloadOffset = 5 << 20
        for content in [SparseBytes(count: 3 << 20), version.build().content, region.build().content] {
            #expect(throws: DiskError.self) { try VHDXImage.check(MemoryFile(content)) }
        }
    }

    @Test("A file that can't be read is not called damaged")
    func readError() throws {
        let content = Self.dynamic.build().content
        let counting = FaultyFile(MemoryFile(content)) { _ in .pass }
        _ = try VHDXImage.check(counting)
        let count = counting.callCount(of: .read)
        #expect(count > 8)
        for number in 0..<count {
            let file = FaultyFile(MemoryFile(content), failing: .read, number: number)
            #expect { try VHDXImage.check(file) } throws: { ($0 as? DiskError)?.kind == .io }
        }
    }

    private func check(_ content: SparseBytes) throws(DiskError) -> CheckReport {
        try VHDXImage.check(MemoryFile(content))
    }
}
