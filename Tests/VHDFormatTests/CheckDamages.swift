import ByteIO
import TestSupport
import Testing

/// A file with one damage, and words that the finding about it has.
struct Damage: CustomTestStringConvertible {
    var name: String
    var content: SparseBytes
    var mentions: [String]

    var testDescription: String { name }

    private init(_ name: String, _ content: SparseBytes, _ mentions: String...) {
        (self.name, self.content, self.mentions) = (name, content, mentions)
    }

    private init(_ name: String, _ mentions: String..., change: (inout VHDBuilder) -> Void) {
        var builder = CheckTests.dynamic
        change(&builder)
        (self.name, self.content, self.mentions) = (name, builder.build().content, mentions)
    }

    static var all: [Damage] { footers + headers + tables + locators + batmaps }

    private static var built: BuiltVHD { CheckTests.dynamic.build() }

    private static var footers: [Damage] {
        var cut = built
        cut.content.resize(to: cut.footerOffset)
        return [
            Damage("footer checksum", "footer at offset \(built.footerOffset)", "checksum is 0x7,") {
                $0.edit(.tail, at: 64, UInt32(7), fixesChecksum: false)
            },
            Damage("footer missing", cut.content, "footer at offset \(cut.footerOffset - 512)", "no footer"),
            Damage("copy checksum", "footer copy at offset 0", "checksum is 0x7,") {
                $0.edit(.copy, at: 64, UInt32(7), fixesChecksum: false)
            },
            Damage("copy missing", "footer copy at offset 0", "no footer") { $0.hasFooterCopy = false },
            Damage("copy differs", "footer copy at offset 0", "byte 24 is 0x1, expected 0x2") {
                $0.edit(.copy, at: 24, [1])
                $0.edit(.tail, at: 24, [2])
            },
            Damage("both checksums", "checksum is 0x7") {
                $0.edit(.copy, .tail, at: 64, UInt32(7), fixesChecksum: false)
            },
            Damage("disk type", "disk type is 9") { $0.edit(.copy, .tail, at: 60, UInt32(9)) },
            Damage("size 0", "current size is 0") { $0.edit(.copy, .tail, at: 48, UInt64(0)) },
            fixed,
        ]
    }

    private static var fixed: Damage {
        var fixed = VHDBuilder(.fixed, size: 8192)
        fixed.edit(.tail, at: 48, UInt64(16384))
        return Damage("fixed, too short", fixed.build().content, "has 16384 bytes", "only 8192")
    }

    private static var headers: [Damage] {
        [
            Damage("header checksum", "dynamic header at offset 512", "checksum is 0x7,") {
                $0.edit(.header, at: 36, UInt32(7), fixesChecksum: false)
            },
            Damage("header cookie", "cxsparse") { $0.edit(.header, at: 0, [0]) },
            Damage("header place", "data offset is 0x201") { $0.edit(.copy, .tail, at: 16, UInt64(513)) },
            Damage("block size", "block size is 5000") { $0.edit(.header, at: 32, UInt32(5000)) },
            Damage("too few entries", "has 1 entries") { $0.edit(.header, at: 28, UInt32(1)) },
            Damage("table outside", "offset 1048576") { $0.edit(.header, at: 16, UInt64(1 << 20)) },
            Damage("table on the header", "block allocation table at offset 1024", "overlaps dynamic header") {
                // There are zeros in the header where entries would be: block 0 is on the footer copy, and so on.
                $0.edit(.header, at: 16, UInt64(1024))
                $0.edit(.header, at: 512, [UInt8](repeating: 0xFF, count: 512))
            },
        ]
    }

    private static var tables: [Damage] {
        let place = built.tableOffset + 4
        let second = CheckTests.dynamic.sector(ofBlock: 1)
        return [
            Damage("entry behind the file", "entry 1 at offset \(place)", "0x10000000") {
                $0.entryOverrides[1] = 0x1000_0000
            },
            Damage("entry on the footer", "entry 3 at", "expected one in front of offset \(built.footerOffset)") {
                $0.entryOverrides[3] = UInt32(built.footerOffset / 512)
            },
            Damage("entry on the headers", "block 3 at offset 1024", "overlaps dynamic header") {
                $0.tableOffset = 65536
                $0.entryOverrides[3] = 2
            },
            Damage("entries equal", "at offset \(second * 512)", "block 1", "block 3") {
                $0.entryOverrides[3] = second
            },
            Damage("entries overlap", "at offset \((second + 2) * 512)", "block 3", "overlaps block 1") {
                $0.entryOverrides[3] = second + 2
            },
            cutBlock,
            cutBitmap,
        ]
    }

    private static var cutBlock: Damage {
        var built = built
        let footer = built.content[built.footerOffset..<built.footerOffset + 512]
        let start = built.blockOffsets[4] ?? 0
        built.content.resize(to: start + 512 + 2048)
        built.content.store(footer, at: built.content.count)
        return Damage("block cut", built.content, "block 4 at offset \(start)", "4 of its sectors are missing")
    }

    private static var cutBitmap: Damage {
        var built = CheckTests.dynamic.with { ($0.blockSize, $0.blocks) = (4 << 20, [0: []]) }.build()
        let footer = built.content[built.footerOffset..<built.footerOffset + 512]
        let start = built.blockOffsets.values.max() ?? 0
        built.content.resize(to: start + 512)
        built.content.store(footer, at: built.content.count)
        return Damage("bitmap cut", built.content, "at offset \(start)", "bitmap")
    }

    private static var locators: [Damage] {
        func child(_ change: (inout VHDBuilder.Locator) -> Void) -> SparseBytes {
            var builder = CheckTests.dynamic
            builder.setParent(CheckTests.dynamic, file: "p.vhd")
            change(&builder.locators[1])
            return builder.build().content
        }
        return [
            Damage("locator outside", child { $0.claimedOffset = 1 << 40 }, "parent locator 1 at offset 1112"),
            Damage("locator too long", child { $0.length = 65537 }, "parent locator 1 at offset 1112", "65537"),
            Damage(
                "locator on the footer copy",
                child { $0.claimedOffset = 100 },
                "parent locator 1 at",
                "footer copy"
            ),
        ]
    }

    private static var batmaps: [Damage] {
        func xen(_ blocks: [UInt64: [Bool]]) -> SparseBytes {
            var builder = CheckTests.dynamic
            (builder.creator, builder.creatorVersion, builder.batmap) = ("tap\0", 0x0001_0003, .good)
            var content = builder.build().content
            builder.blocks.merge(blocks) { $1 }
            let other = builder.build()
            // The bitmaps and the table of one, the batmap of the other.
            for (block, offset) in other.blockOffsets where blocks[block] != nil {
                content.store(other.content[offset..<offset + 512], at: offset)
            }
            return content
        }
        let partly = [true, false, true, true, true, true, true, true]
        var unlinked = CheckTests.dynamic
        (unlinked.creator, unlinked.creatorVersion, unlinked.batmap) = ("tap\0", 0x0001_0003, .good)
        unlinked.entryOverrides[1] = .max
        return [
            Damage("batmap says full", xen([1: partly]), "batmap at offset", "block 1", "only 7 of its 8 sectors"),
            Damage("batmap of no block", unlinked.build().content, "batmap at offset", "block 1 is full, but not"),
        ]
    }
}

extension VHDBuilder {
    fileprivate func with(_ change: (inout VHDBuilder) -> Void) -> VHDBuilder {
        var copy = self
        change(&copy)
        return copy
    }

    /// The entry of an allocated block.
    fileprivate func sector(ofBlock block: UInt64) -> UInt32 {
        UInt32((build().blockOffsets[block] ?? 0) / 512)
    }
}
