import BlockDevice
import ByteIO
import TestSupport
import Testing
import VHDXFormat

/// The rows of `formats.md` §6.2 about the headers and the region tables.
struct DamagedHeaderTests {
    static let other = [UInt8](repeating: 0xEE, count: 16)

    @Test(arguments: headers + headerChoice + regions + regionPlaces)
    func row(_ image: DamagedImage) throws {
        try image.check()
    }

    @Test func everythingComesFromTheChosenHeader() throws {
        for (first, second, isSecond) in [(7, 8, true), (8, 7, false), (1 << 63, 9, false)] as [(UInt64, UInt64, Bool)]
        {
            var builder = VHDXBuilder.base()
            builder.sequences = (first, second)
            builder.edit(.header2, at: 32, Self.other)
            let disk = try OpenDisk(MemoryFile(builder.build().content), writable: false)
            #expect((disk.leaf.facts.dataWriteGUID.bytes == Self.other) == isSecond)
            #expect(disk.leaf.dataWriteGUID == disk.leaf.facts.dataWriteGUID)
        }
    }

    @Test(
        arguments: [0, 8, 4096, 65536, 100_000, 131_072, 200_000, 262_144, 320_000, 1 << 20, 2 << 20, 4 << 20]
            as [UInt64]
    )
    func aFileThatIsCutIsRefused(_ length: UInt64) throws {
        var file = VHDXBuilder.base().build().content
        file.resize(to: length)
        let error = #expect(throws: DiskError.self) { try OpenDisk(MemoryFile(file), writable: false) }
        let kinds: [DiskError.Kind] = [.fileCorrupt, .truncated]
        #expect(kinds.contains(error?.kind ?? .gone), "\(String(describing: error))")
    }

    static let headers: [DamagedImage] = [
        DamagedImage("header 1 bad", .opens) { $0.edit(.header1, at: 4, UInt32(1), fixesChecksum: false) },
        DamagedImage("header 2 bad", .opens) { $0.edit(.header2, at: 4, UInt32(1), fixesChecksum: false) },
        DamagedImage("current header bad in its last byte", .opens) {
            $0.edit(.header2, at: 4095, [1], fixesChecksum: false)
        },
        DamagedImage("both headers bad", .refused(.fileCorrupt)) {
            $0.edit(.header1, .header2, at: 4, UInt32(1), fixesChecksum: false)
        },
        DamagedImage("signature wrong, checksum right", .opens) { $0.edit(.header2, at: 0, Array("daeh".utf8)) },
        DamagedImage("both signatures wrong", .refused(.fileCorrupt)) {
            $0.edit(.header1, .header2, at: 0, Array("daeh".utf8))
        },
        DamagedImage("version 2", .refused(.unsupportedVersion)) { $0.edit(.header1, .header2, at: 66, UInt16(2)) },
        DamagedImage("version 0", .refused(.unsupportedVersion)) { $0.edit(.header1, .header2, at: 66, UInt16(0)) },
        DamagedImage("current version 2, older 1", .refused(.unsupportedVersion)) {
            $0.edit(.header2, at: 66, UInt16(2))
        },
        DamagedImage("current version 1, older 2", .opens) { $0.edit(.header1, at: 66, UInt16(2)) },
        DamagedImage("log version 1 of an empty log", .opens) { $0.edit(.header1, .header2, at: 64, UInt16(1)) },
        DamagedImage("log version 1 of a log in use", .refused(.unsupportedVersion)) {
            $0.hide(.table)
            $0.edit(.header1, .header2, at: 64, UInt16(1))
        },
    ]

    static let headerChoice: [DamagedImage] = [
        DamagedImage("equal sequence, identical", .opens) { $0.sequences = (1, 1) },
        DamagedImage("equal sequence, different", .refused(.fileCorrupt)) {
            $0.sequences = (4, 4)
            $0.edit(.header2, at: 16, [99])
        },
        DamagedImage("equal sequence, one of them bad", .opens) {
            $0.sequences = (4, 4)
            $0.edit(.header2, at: 16, [99], fixesChecksum: false)
        },
        DamagedImage("sequence 0 and 1", .opens) { $0.sequences = (0, 1) },
        DamagedImage("greatest sequence number", .opens, writable: .refused(.fileCorrupt)) {
            $0.sequences = (.max - 1, .max)
        },
        DamagedImage("older header with nonsense for a log", .opens) {
            $0.edit(.header1, at: 48, [1])
            $0.edit(.header1, at: 72, UInt64(77))
        },
        DamagedImage("reserved bytes", .opens) { $0.edit(.header1, .header2, at: 80, UInt64.max) },
        DamagedImage("identifier wrong", .refused(.fileCorrupt)) { $0.edit(.file, at: 0, Array("vhdxfily".utf8)) },
        DamagedImage("creator garbage", .opens) { $0.edit(.file, at: 8, [UInt8](repeating: 0xDC, count: 512)) },
    ]

    static let regions: [DamagedImage] = [
        DamagedImage("region table 1 bad", .opens) { $0.edit(.regions1, at: 4, UInt32(1), fixesChecksum: false) },
        DamagedImage("region table 2 bad", .opens) { $0.edit(.regions2, at: 65535, [1], fixesChecksum: false) },
        DamagedImage("both region tables bad", .refused(.fileCorrupt)) {
            $0.edit(.regions1, .regions2, at: 4, UInt32(1), fixesChecksum: false)
        },
        DamagedImage("region tables good and different", .warns) { $0.edit(.regions2, at: 24, UInt64(5 << 20)) },
        DamagedImage("region table signatures", .refused(.fileCorrupt)) {
            $0.edit(.regions1, .regions2, at: 0, Array("iger".utf8))
        },
        DamagedImage("regions not required", .opens) { $0.regionsAreRequired = false },
        DamagedImage("metadata listed first", .opens) { $0.listsTableFirst = false },
        DamagedImage("unknown required region", .refused(.unsupportedFeature)) { $0.addRegion() },
        DamagedImage("unknown optional region", .opens) { $0.addRegion { $0.flags = 0 } },
        DamagedImage("unknown optional region amid the blocks", .opens) {
            $0.payloadOffset = 4 << 20
            $0.gaps = [3: 1]
            $0.addRegion { ($0.flags, $0.offset) = (0, 4 << 20) }
        },
        DamagedImage("no regions", .refused(.fileCorrupt)) { $0.edit(.regions1, .regions2, at: 8, UInt32(0)) },
        DamagedImage("metadata region missing", .refused(.fileCorrupt)) {
            $0.edit(.regions1, .regions2, at: 8, UInt32(1))
        },
        DamagedImage("table's region missing", .refused(.fileCorrupt)) {
            $0.listsTableFirst = false
            $0.edit(.regions1, .regions2, at: 8, UInt32(1))
        },
        DamagedImage("2048 regions", .refused(.fileCorrupt)) { $0.edit(.regions1, .regions2, at: 8, UInt32(2048)) },
        DamagedImage("2^32 - 1 regions", .refused(.fileCorrupt)) { $0.edit(.regions1, .regions2, at: 8, UInt32.max) },
    ]

    static let regionPlaces: [DamagedImage] = [
        damagedRegion("twice") { $0.guid = guidBytes("8B7CA206-4790-4B9A-B8FE-575F050F886E") },
        damagedRegion("in the first MiB") { $0.offset = 0 },
        damagedRegion("not at a MiB") { $0.offset += 4096 },
        damagedRegion("behind the end") { $0.offset = 1 << 40 },
        damagedRegion("near UInt64.max") { $0.offset = 0 &- 1 << 20 },
        damagedRegion("reaching past the end") { $0.length = 1 << 31 },
        damagedRegion("of no length") { $0.length = 0 },
        damagedRegion("of half a MiB") { $0.length = 1 << 19 },
        damagedRegion("over the log") { $0.offset = 1 << 20 },
        damagedRegion("over the metadata") { $0.offset = 2 << 20 },
        damagedRegion("over the table") { $0.offset = 3 << 20 },
        damagedRegion("over its neighbour's end") { ($0.offset, $0.length) = (2 << 20, 2 << 20) },
        DamagedImage("regions over each other", .refused(.fileCorrupt)) {
            $0.edit(.regions1, .regions2, at: 64, UInt64(3) << 20)
        },
        DamagedImage("metadata behind the end", .refused(.fileCorrupt)) {
            $0.edit(.regions1, .regions2, at: 64, UInt64(300) << 20)
        },
    ]

    static func damagedRegion(_ name: String, _ change: (inout VHDXBuilder.Region) -> Void) -> DamagedImage {
        DamagedImage("a region \(name)", .refused(.fileCorrupt)) { builder in
            builder.payloadOffset = 8 << 20
            builder.addRegion {
                $0.flags = 0
                change(&$0)
            }
            // The image is as long as if the region were in its place.
            builder.fileLength = 32 << 20
        }
    }
}

extension VHDXBuilder {
    /// Adds a region of 1 MiB that no program knows, behind the others.
    fileprivate mutating func addRegion(_ change: (inout Region) -> Void = { _ in }) {
        var region = Region(guid: (0x70...0x7F).map { $0 }, offset: 5 << 20, length: 1 << 20)
        change(&region)
        let isPlaced = region.offset < 1 << 30 && region.length < 1 << 30
        payloadOffset = payloadOffset ?? (isPlaced ? 8 << 20 : nil)
        extraRegions.append(region)
    }
}
