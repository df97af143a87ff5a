import BlockDevice
import TestSupport
import Testing

/// The rows of `formats.md` §6.2 about the metadata region.
struct DamagedMetadataTests {
    typealias ID = VHDXBuilder.ItemID

    @Test(arguments: items + itemPlaces + mandatory)
    func row(_ image: DamagedImage) throws {
        try image.check()
    }

    @Test(arguments: blockSizes + sectors + sizes + parents + locators)
    func row2(_ image: DamagedImage) throws {
        try image.check()
    }

    static let unknown = [UInt8](repeating: 0x55, count: 16)

    static let items: [DamagedImage] = [
        DamagedImage("table signature", .refused(.fileCorrupt)) { $0.edit(.metadata, at: 0, Array("metadatb".utf8)) },
        DamagedImage("no items", .refused(.fileCorrupt)) { $0.edit(.metadata, at: 10, UInt16(0)) },
        DamagedImage("2048 items", .refused(.fileCorrupt)) { $0.edit(.metadata, at: 10, UInt16(2048)) },
        DamagedImage("65535 items", .refused(.fileCorrupt)) { $0.edit(.metadata, at: 10, UInt16.max) },
        DamagedImage("user item with a system GUID", .opens) {
            $0.extraItems = [item(ID.virtualDiskSize, 1, littleEndian(UInt64(4096)))]
        },
        DamagedImage("user item with a system GUID, first of all", .opens) {
            $0.items = [item(ID.virtualDiskSize, 1, littleEndian(UInt64(4096)))] + $0.standardItems
        },
        DamagedImage("unknown required system item", .refused(.unsupportedFeature)) {
            $0.extraItems = [item(unknown, 4, [1])]
        },
        DamagedImage("unknown required item of the virtual disk", .refused(.unsupportedFeature)) {
            $0.extraItems = [item(unknown, 6, [1])]
        },
        DamagedImage("unknown optional system item", .opens) { $0.extraItems = [item(unknown, 0, [1])] },
        DamagedImage("unknown user item", .opens) { $0.extraItems = [item(unknown, 1, [1])] },
        DamagedImage("required user item", .refused(.fileCorrupt)) { $0.extraItems = [item(unknown, 5, [1])] },
        DamagedImage("empty item", .opens) { $0.extraItems = [item(unknown, 0, [])] },
        DamagedImage("empty item with an offset", .refused(.fileCorrupt)) {
            $0.extraItems = [VHDXBuilder.Item(unknown, flags: 0, [], offset: 70000, length: 0)]
        },
        DamagedImage("system item twice", .refused(.fileCorrupt)) {
            $0.extraItems = [item(ID.virtualDiskSize, 6, littleEndian($0.size))]
        },
        DamagedImage("user item twice", .refused(.fileCorrupt)) {
            $0.extraItems = [item(unknown, 1, [1]), item(unknown, 1, [2])]
        },
        DamagedImage("same unknown GUID for a user and a system item", .opens) {
            $0.extraItems = [item(unknown, 1, [1]), item(unknown, 0, [2])]
        },
        DamagedImage("incomplete file", .refused(.fileCorrupt)) { $0.extraItems = [item(ID.incompleteFile, 4, [1])] },
        DamagedImage("incomplete file, not required", .refused(.fileCorrupt)) {
            $0.extraItems = [item(ID.incompleteFile, 0, [1])]
        },
        DamagedImage("CHS parameters", .opens) {
            $0.extraItems = [item(guidBytes("DA02D7BC-3D3A-423C-AC88-2A36AB21479B"), 4, [4, 0, 0, 0, 17, 0, 0, 0])]
        },
        DamagedImage("label storage", .opens) {
            $0.extraItems = [item(guidBytes("10E1AE8A-4B7E-4169-A40F-CD70DE928393"), 4, [1, 2, 3, 4])]
        },
        DamagedImage("reserved bits of an item", .warns, writable: .refused(.unsupportedFeature)) {
            $0.extraItems = [item(unknown, 8, [1])]
        },
        DamagedImage("reserved bits of the file parameters", .warns, writable: .refused(.unsupportedFeature)) {
            $0.change(ID.fileParameters) { $0.bytes[4] |= 4 }
        },
    ]

    static let itemPlaces: [DamagedImage] = [
        place("over another") { ($0.offset, $0.bytes) = (65540, [1, 2, 3, 4]) },
        place("inside the table") { $0.offset = 65535 },
        place("at 0") { $0.offset = 0 },
        place("past the region") { ($0.offset, $0.bytes) = ((1 << 20) - 1, [1, 2]) },
        place("near UInt32.max") { ($0.offset, $0.length) = (.max - 1, 2) },
        place("of UInt32.max bytes") { $0.length = .max },
        DamagedImage("items in any order and place", .opens) {
            $0.items = $0.standardItems.reversed()
            $0.extraItems = [item(unknown, 1, [UInt8](repeating: 7, count: 999))]
            $0.change(ID.virtualDiskID) { $0.offset = (1 << 20) - 16 }
        },
    ]

    static let mandatory: [DamagedImage] = [
        ID.fileParameters, ID.virtualDiskSize, ID.virtualDiskID, ID.logicalSectorSize, ID.physicalSectorSize,
    ].flatMap { guid in
        [
            DamagedImage("item \(guidText(guid)) missing", .refused(.fileCorrupt)) {
                $0.items = $0.standardItems.filter { $0.guid != guid }
            },
            DamagedImage("item \(guidText(guid)) a byte short", .refused(.fileCorrupt)) {
                $0.change(guid) { $0.bytes.removeLast() }
            },
            DamagedImage("item \(guidText(guid)) too long", .refused(.fileCorrupt)) {
                $0.change(guid) { $0.bytes += [0, 0, 0, 0] }
            },
            DamagedImage("item \(guidText(guid)) empty", .refused(.fileCorrupt)) {
                $0.change(guid) { $0.bytes = [] }
            },
        ]
    }

    static let blockSizes: [DamagedImage] = [0, 1, 1 << 19, 3 << 20, (1 << 20) + 1, 512 << 20, 1 << 31, .max].map {
        (size: UInt32) in
        DamagedImage("block size \(size)", .refused(.invalidBlockSize)) {
            $0.change(ID.fileParameters) { $0.bytes.replaceSubrange(0..<4, with: littleEndian(size)) }
        }
    }

    static let sectors: [DamagedImage] =
        [0, 256, 1024, 1536, 2048, 8192, .max].map { (size: UInt32) in
            DamagedImage("logical sectors of \(size) bytes", .refused(.unsupportedFeature)) {
                $0.change(ID.logicalSectorSize) { $0.bytes = littleEndian(size) }
            }
        }
        + [0, 1024, .max].map { (size: UInt32) in
            DamagedImage("physical sectors of \(size) bytes", .warns, staysDamaged: true) {
                $0.change(ID.physicalSectorSize) { $0.bytes = littleEndian(size) }
            }
        }

    static let sizes: [DamagedImage] = [0, 1, 511, (12 << 20) - 1, (12 << 20) + 100, (64 << 40) + 512, 1 << 63, .max]
        .map {
            (size: UInt64) in
            DamagedImage("size \(size)", .refused(.invalidSize)) {
                $0.change(ID.virtualDiskSize) { $0.bytes = littleEndian(size) }
            }
        }

    static let parents: [DamagedImage] = [
        DamagedImage("parent without a locator", .refused(.fileCorrupt), of: .base(.differencing)) {
            $0.items = $0.standardItems.filter { $0.guid != ID.parentLocator }
        },
        DamagedImage("locator without a parent", .opens, staysDamaged: true) {
            let locator = VHDXBuilder.base(.differencing).parentLocator
            $0.extraItems = [item(ID.parentLocator, 4, locator)]
        },
        DamagedImage("foreign locator", .refused(.unsupportedFeature), of: .base(.differencing)) {
            $0.locatorType[3] ^= 1
        },
    ]

    static let locators: [DamagedImage] = [
        locator("as it should be", .opens) { _ in },
        locator("shorter than its header") { $0 = Array($0.prefix(19)) },
        locator("shorter than its pairs") { $0[18] = 200 },
        locator("with a key at 0") { $0.replaceSubrange(20..<24, with: [0, 0, 0, 0]) },
        locator("with a key behind its end") { $0.replaceSubrange(20..<24, with: littleEndian(UInt32($0.count))) },
        locator("with a value near UInt32.max") { $0.replaceSubrange(24..<28, with: littleEndian(UInt32.max - 1)) },
        locator("with a key of no length") { $0.replaceSubrange(28..<30, with: [0, 0]) },
        locator("with a key of odd length") { $0[28] += 1 },
        locator("with a value of odd length") { $0[30] -= 1 },
        locator("with a key twice") { $0.replaceSubrange(32..<44, with: Array($0[20..<32])) },
    ]

    static func locator(
        _ name: String,
        _ verdict: DamagedImage.Verdict = .refused(.fileCorrupt),
        _ change: (inout [UInt8]) -> Void
    ) -> DamagedImage {
        DamagedImage("locator \(name)", verdict, of: .base(.differencing)) {
            $0.change(ID.parentLocator) { change(&$0.bytes) }
        }
    }

    static func place(_ name: String, _ change: (inout VHDXBuilder.Item) -> Void) -> DamagedImage {
        DamagedImage("item \(name)", .refused(.fileCorrupt)) {
            var extra = item(unknown, 1, [1])
            change(&extra)
            // The field is in the table; where the bytes would lie doesn't matter.
            if extra.offset ?? 0 > 1 << 20 || extra.length != nil { extra.bytes = [] }
            $0.extraItems = [extra]
        }
    }

    static func item(_ guid: [UInt8], _ flags: UInt32, _ bytes: [UInt8]) -> VHDXBuilder.Item {
        VHDXBuilder.Item(guid, flags: flags, bytes)
    }
}
