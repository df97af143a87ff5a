internal import ByteIO

extension VHDXBuilder {
    static let tableRegion = guidBytes("2DC27766-F623-4200-9D64-115E9BFD4A08")
    static let metadataRegion = guidBytes("8B7CA206-4790-4B9A-B8FE-575F050F886E")

    /// The items of the specification, by name.
    public enum ItemID {
        public static let fileParameters = guidBytes("CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
        public static let virtualDiskSize = guidBytes("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
        public static let virtualDiskID = guidBytes("BECA12AB-B2E6-4523-93EF-C309E000C746")
        public static let logicalSectorSize = guidBytes("8141BF1D-A96F-4709-BA47-F233A8FAAB5F")
        public static let physicalSectorSize = guidBytes("CDA348C7-445D-4471-9CC9-E9885251C556")
        public static let parentLocator = guidBytes("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C")
        public static let incompleteFile = guidBytes("71CC85F0-1B69-4E28-9558-C3BF83AE75D3")
    }

    /// The first bytes of the file.
    var identifier: [UInt8] {
        Array("vhdxfile".utf8) + encodeUTF16(creator, .little)
    }

    /// The 4 KiB of a header, edits applied.
    func header(_ structure: Structure) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 4096)
        bytes.store(Array("head".utf8), at: 0)
        bytes.store(structure == .header1 ? sequences.0 : sequences.1, at: 8, .little)
        bytes.store(fileWriteGUID, at: 16)
        bytes.store(dataWriteGUID, at: 32)
        bytes.store(logGUID, at: 48)
        bytes.store(UInt16(0), at: 64, .little)
        bytes.store(UInt16(1), at: 66, .little)
        bytes.store(logLength, at: 68, .little)
        bytes.store(logOffset, at: 72, .little)
        return finish(bytes, structure, hasChecksum: true)
    }

    /// The 64 KiB of a region table, edits applied.
    func regionTable(_ structure: Structure) -> [UInt8] {
        let flags: UInt32 = regionsAreRequired ? 1 : 0
        var regions = [
            Region(guid: Self.tableRegion, offset: tableOffset, length: usedTableLength, flags: flags),
            Region(guid: Self.metadataRegion, offset: metadataOffset, length: metadataLength, flags: flags),
        ]
        if !listsTableFirst { regions.reverse() }
        regions += extraRegions
        var bytes = [UInt8](repeating: 0, count: 65536)
        bytes.store(Array("regi".utf8), at: 0)
        bytes.store(UInt32(regions.count), at: 8, .little)
        for (index, region) in regions.enumerated() {
            let entry = 16 + index * 32
            bytes.store(region.guid, at: entry)
            bytes.store(region.offset, at: entry + 16, .little)
            bytes.store(region.length, at: entry + 24, .little)
            bytes.store(region.flags, at: entry + 28, .little)
        }
        return finish(bytes, structure, hasChecksum: true)
    }

    /// How long the table's region is.
    var usedTableLength: UInt32 { tableLength ?? UInt32(roundUp(entryCount * 8, Self.mib)) }

    /// The items that an image of this kind must have.
    public var standardItems: [Item] {
        let flags: UInt32 = (subtype == .fixed ? 1 : 0) | (subtype == .differencing ? 2 : 0)
        var items = [
            Item(ItemID.fileParameters, flags: 4, littleEndian(blockSize) + littleEndian(flags)),
            Item(ItemID.virtualDiskSize, flags: 6, littleEndian(size)),
            Item(ItemID.virtualDiskID, flags: 6, virtualDiskID),
            Item(ItemID.logicalSectorSize, flags: 6, littleEndian(logicalSectorSize)),
            Item(ItemID.physicalSectorSize, flags: 6, littleEndian(physicalSectorSize)),
        ]
        if subtype == .differencing { items.append(Item(ItemID.parentLocator, flags: 4, parentLocator)) }
        return items
    }

    /// The metadata table, and the items with their offsets from the start of the region.
    func metadata() -> (table: [UInt8], items: [(offset: UInt32, bytes: [UInt8])]) {
        let items = (items ?? standardItems) + extraItems
        var table = [UInt8](repeating: 0, count: 65536)
        table.store(Array("metadata".utf8), at: 0)
        table.store(UInt16(items.count), at: 10, .little)
        var placed: [(UInt32, [UInt8])] = []
        var end: UInt32 = 65536
        for (index, item) in items.enumerated() {
            let isEmpty = item.bytes.isEmpty && item.length == nil
            let offset = item.offset ?? (isEmpty ? 0 : end)
            let entry = 32 + index * 32
            table.store(item.guid, at: entry)
            table.store(offset, at: entry + 16, .little)
            table.store(item.length ?? UInt32(item.bytes.count), at: entry + 20, .little)
            table.store(item.flags, at: entry + 24, .little)
            placed.append((offset, item.bytes))
            if item.offset == nil { end += UInt32(item.bytes.count) }
        }
        return (finish(table, .metadata, hasChecksum: false), placed)
    }

    /// The parent locator of `parentPairs`.
    public var parentLocator: [UInt8] {
        var header = locatorType + [0, 0] + littleEndian(UInt16(parentPairs.count))
        var strings: [UInt8] = []
        let base = 20 + 12 * parentPairs.count
        for pair in parentPairs {
            let (key, value) = (encodeUTF16(pair.key, .little), encodeUTF16(pair.value, .little))
            header += littleEndian(UInt32(base + strings.count))
            header += littleEndian(UInt32(base + strings.count + key.count))
            header += littleEndian(UInt16(key.count)) + littleEndian(UInt16(value.count))
            strings += key + value
        }
        return header + strings
    }

    private func finish(_ bytes: [UInt8], _ structure: Structure, hasChecksum: Bool) -> [UInt8] {
        var bytes = bytes
        let edits = edits.filter { $0.structures.contains(structure) }
        for edit in edits where edit.fixesChecksum { bytes.store(edit.bytes, at: Int(edit.offset)) }
        if hasChecksum {
            bytes.store(UInt32(0), at: 4, .little)
            bytes.store(crc32C(bytes), at: 4, .little)
        }
        for edit in edits where !edit.fixesChecksum { bytes.store(edit.bytes, at: Int(edit.offset)) }
        return bytes
    }
}

/// The 16 bytes of an identifier in Microsoft's mixed order, from its text without braces.
public func guidBytes(_ text: String) -> [UInt8] {
    let digits = text.filter { $0 != "-" }.compactMap(\.hexDigitValue)
    let bytes = stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] * 16 + digits[$0 + 1]) }
    return bytes[0..<4].reversed() + bytes[4..<6].reversed() + bytes[6..<8].reversed() + bytes[8...]
}

/// The text of an identifier, upper case and without braces, from its bytes in Microsoft's mixed order.
public func guidText(_ bytes: [UInt8]) -> String {
    let groups = [bytes[0..<4].reversed(), bytes[4..<6].reversed(), bytes[6..<8].reversed()].map(Array.init)
    return (groups + [Array(bytes[8..<10]), Array(bytes[10..<16])]).map { group in
        group.map { byte in
            let digits = String(byte, radix: 16, uppercase: true)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }.joined(separator: "-")
}

/// An integer as little-endian bytes.
public func littleEndian(_ value: some FixedWidthInteger & UnsignedInteger) -> [UInt8] {
    bigEndian(value).reversed()
}

/// CRC-32C: polynomial 0x1EDC6F41, reflected, initial value and final XOR all ones.
public func crc32C(_ bytes: [UInt8]) -> UInt32 {
    unsafe bytes.withUnsafeBufferPointer { bytes in
        unsafe crcTable.withUnsafeBufferPointer { table in
            var crc = UInt32.max
            var index = 0
            let count = bytes.count
            while index < count {
                crc = unsafe table[Int((crc ^ UInt32(bytes[index])) & 0xFF)] ^ crc >> 8
                index += 1
            }
            return ~crc
        }
    }
}

private let crcTable: [UInt32] = (0..<256 as Range<UInt32>).map { byte in
    (0..<8).reduce(byte) { value, _ in value & 1 == 0 ? value >> 1 : value >> 1 ^ 0x82F6_3B78 }
}
