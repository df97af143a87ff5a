import BlockDevice
import TestSupport
import Testing

/// The rows of `formats.md` §6.1 about the dynamic header, the block allocation table and the blocks.
struct DamagedTableTests {
    static let dynamic = DamagedFooterTests.dynamic

    @Test(arguments: header + blockSizes + table + entries + cut)
    func row(_ image: DamagedImage) throws {
        try image.check()
    }

    @Test(arguments: [UInt32.max, 0x7FFF_FFFF])
    func aTableThatClaimsTooMuchDoesNotMakeTheFileHuge(_ entries: UInt32) throws {
        var builder = Self.dynamic
        builder.blocks[2] = nil
        builder.edit(.header, at: 28, entries)
        var model = DiskModel(builder.shown())
        let file = MemoryFile(builder.build().content)
        let disk = try OpenDisk(file, writable: true)
        try model.perform(.write([1, 2, 3], at: 2 * 4096 + 700), on: disk.device)
        try disk.finish()
        #expect(file.content.count < 100_000)
        #expect(try ReferenceVHD(file.content).shown() == model.bytes)
    }

    static let header: [DamagedImage] = [
        DamagedImage("header checksum wrong", dynamic, .refused(.headerChecksum)) {
            $0.edit(.header, at: 36, UInt32(1), fixesChecksum: false)
        },
        DamagedImage("header cookie wrong", dynamic, .refused(.headerCorrupt, .footerCorrupt)) {
            $0.edit(.header, at: 0, Array("cxsparsf".utf8))
        },
        DamagedImage("header version 2.0", dynamic, .refused(.unsupportedHeaderVersion)) {
            $0.edit(.header, at: 24, UInt32(0x0002_0000))
        },
        DamagedImage("next offset not all ones", dynamic, .opens) { $0.edit(.header, at: 8, UInt64(0)) },
        DamagedImage("header at 4096", dynamic, .opens) { $0.headerOffset = 4096 },
        DamagedImage("header behind the table", dynamic, .opens) {
            $0.tableOffset = 512
            $0.headerOffset = 4096
        },
    ]

    static let blockSizes: [DamagedImage] =
        [0, 1, 256, 511, 3 << 20, 4097, 0xFFFF_FFFF].map { size in
            DamagedImage("block size \(size)", dynamic, .refused(.invalidBlockSize)) {
                $0.edit(.header, at: 32, UInt32(size))
            }
        }
        + [512, 1024, 2048].map { (size: UInt32) in
            DamagedImage(
                "block size \(size)",
                VHDBuilder(.dynamic, disk: dynamic.disk, blockSize: size),
                .opens,
                writable: .refused(.invalidBlockSize, .limit, .unsupportedFeature, .readOnly)
            )
        }
        + [
            DamagedImage("block size 2 GiB", dynamic, .refused(.limit, .invalidBlockSize)) {
                $0.blocks = [:]
                $0.edit(.header, at: 32, UInt32(1) << 31)
            },
            DamagedImage(
                "block size 512 MiB",
                VHDBuilder(.dynamic, size: 20_480),
                .opens,
                writable: .refused(.limit, .invalidBlockSize, .unsupportedFeature, .readOnly)
            ) { $0.edit(.header, at: 32, UInt32(512) << 20) },
        ]

    static let table: [DamagedImage] = [
        DamagedImage("table too small for the size", dynamic, .refused(.allocationTableCorrupt)) {
            $0.edit(.header, at: 28, UInt32(4))
        },
        DamagedImage("no entries", dynamic, .refused(.allocationTableCorrupt)) { $0.edit(.header, at: 28, UInt32(0)) },
        DamagedImage("one entry too many", dynamic, .opens) { $0.extraEntries = 1 },
        DamagedImage("surplus entries of nonsense", dynamic, .opens) {
            $0.extraEntries = 300
            $0.extraEntryValue = 3
        },
        DamagedImage("table offset misaligned", dynamic, .refused(.allocationTableCorrupt, .headerCorrupt)) {
            $0.edit(.header, at: 16, UInt64(1537))
        },
        DamagedImage("table offset 0", dynamic, .refused(.allocationTableCorrupt, .headerCorrupt)) {
            $0.edit(.header, at: 16, UInt64(0))
        },
        DamagedImage(
            "table offset past the end",
            dynamic,
            .refused(.allocationTableCorrupt, .headerCorrupt, .truncated)
        ) {
            $0.edit(.header, at: 16, UInt64(1) << 40)
        },
        DamagedImage("table offset near UInt64.max", dynamic, .refused(.allocationTableCorrupt, .headerCorrupt)) {
            $0.edit(.header, at: 16, UInt64.max - 511)
        },
        DamagedImage("table reaches past the end", dynamic, .refused(.allocationTableCorrupt, .truncated)) {
            $0.extraEntries = 0
            $0.edit(.copy, .tail, at: 48, UInt64(64) << 30)
            $0.edit(.header, at: 28, UInt32(1) << 24)
        },
        DamagedImage("more than 2^26 entries needed", dynamic, .refused(.limit)) {
            $0.edit(.copy, .tail, at: 48, UInt64(2040) << 30)
            $0.edit(.header, at: 28, UInt32.max)
        },
        hugeTable(0xFFFF_FFFF),
        hugeTable(0x7FFF_FFFF),
    ]

    static let entries: [DamagedImage] = [
        entry("past the end", 1 << 20),
        entry("0xFFFFFFFE", 0xFFFF_FFFE),
        entry("0", 0),
        entry("1: the dynamic header", 1),
        entry("3: the table", 3),
        entry("of a locator", 4) {
            $0.subtype = .differencing
            $0.locators = [VHDBuilder.Locator("W2ru", [UInt8](repeating: 65, count: 9000))]
        },
        DamagedImage("entry reaches into the footer", dynamic, .refused(.allocationTableCorrupt, .truncated)) {
            $0.alignment = .packed
            $0.entryOverrides[4] = UInt32($0.build().footerOffset / 512) - 8
            $0.blocks[4] = nil
        },
        DamagedImage("two entries equal", dynamic, .refused(.allocationTableCorrupt)) {
            $0.entryOverrides[1] = $0.entry(of: 3)
        },
        DamagedImage("two entries overlap by a sector, upwards", dynamic, .refused(.allocationTableCorrupt)) {
            $0.entryOverrides[1] = $0.entry(of: 3) + 8
        },
        DamagedImage("two entries overlap by a sector, downwards", dynamic, .refused(.allocationTableCorrupt)) {
            $0.alignment = .packed
            $0.entryOverrides[3] = $0.entry(of: 2) + 8
        },
        DamagedImage("blocks not on the usual alignment", dynamic, .opens) {
            $0.alignment = .packed
            $0.gaps = [0: 1, 2: 3, 3: 5]
        },
        DamagedImage("Xen batmap, good", dynamic, .opens) { $0.makeXen(.good) },
        DamagedImage("Xen batmap with a bad checksum", dynamic, .opens) { $0.makeXen(.badChecksum) },
        DamagedImage("Xen batmap, encrypted payload", dynamic, .refused(.unsupportedFeature)) {
            $0.makeXen(.encrypted)
        },
        DamagedImage("Xen table larger than the file", dynamic, .opens, writable: .refused(.readOnly)) {
            $0.makeXen(.none)
            $0.edit(.header, at: 28, UInt32(1 << 24))
        },
        DamagedImage(
            "Xen version 0.1: bitmaps the other way round",
            dynamic,
            .refused(.unsupportedFeature, .unsupportedVersion)
        ) {
            ($0.creator, $0.creatorVersion) = ("tap\0", 0x0000_0001)
        },
    ]

    static let cut: [DamagedImage] = [
        shortened("last block cut, bits set", [:], by: 512, .refused(.truncated)),
        shortened(
            "last block cut, bits clear",
            [4: [true, true, true] + [Bool](repeating: false, count: 5)],
            by: 2560,
            .warns
        ),
        shortened(
            "last block cut one sector too far",
            [4: [true, true, true] + [Bool](repeating: false, count: 5)],
            by: 3072,
            .refused(.truncated)
        ),
        shortened("last block cut beyond the disk's end", [:], size: 18_432, by: 2048, .warns),
        shortened("last block cut in its bitmap", [4: []], by: 4200, .refused(.truncated)),
    ]

    // The claimed table would reach 16 GiB past the blocks; only what the disk needs counts.
    static func hugeTable(_ entries: UInt32) -> DamagedImage {
        var image = DamagedImage("max entries \(entries)", dynamic, .opens) { $0.edit(.header, at: 28, entries) }
        image.shown = dynamic.disk
        return image
    }

    static func entry(
        _ name: String,
        _ value: UInt32,
        change: (inout VHDBuilder) -> Void = { _ in }
    ) -> DamagedImage {
        DamagedImage("entry \(name)", dynamic, .refused(.allocationTableCorrupt)) {
            change(&$0)
            $0.entryOverrides[2] = value
        }
    }

    /// A file that lost its end: the footer, and `bytes` of the last block.
    static func shortened(
        _ name: String,
        _ blocks: [UInt64: [Bool]],
        size: UInt64 = 20_480,
        by bytes: UInt64,
        _ verdict: DamagedImage.Verdict
    ) -> DamagedImage {
        var builder = VHDBuilder(
            .dynamic,
            disk: SparseBytes([UInt8](repeating: 0x77, count: Int(size))),
            blockSize: 4096
        )
        builder.alignment = .packed
        builder.blocks.merge(blocks) { $1 }
        var built = builder.build()
        built.content.resize(to: built.footerOffset - bytes)
        return DamagedImage(name, file: built.content, shown: builder.shown(), verdict)
    }
}

extension VHDBuilder {
    fileprivate func entry(of block: UInt64) -> UInt32 {
        UInt32((build().blockOffsets[block] ?? 0) / 512)
    }

    fileprivate mutating func makeXen(_ batmap: Batmap) {
        (creator, creatorVersion) = ("tap\0", 0x0001_0003)
        self.batmap = batmap
    }
}
