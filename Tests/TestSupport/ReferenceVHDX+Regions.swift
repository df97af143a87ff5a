internal import ByteIO

/// The region table (§3.4).
struct ReferenceRegions {
    let table: Range<UInt64>
    let metadata: Range<UInt64>
    /// All of them, unknown ones too.
    let all: [Range<UInt64>]

    static func isGood(_ bytes: [UInt8]) -> Bool {
        bytes.starts(with: Array("regi".utf8)) && hasGoodCRC(bytes)
    }

    init(_ bytes: [UInt8], log: Range<UInt64>, fileLength: UInt64) throws {
        let count = Int(try bytes.load(UInt32.self, at: 8, .little))
        try ReferenceVHDX.require(count <= 2047, "\(count) regions")
        var regions: [[UInt8]: Range<UInt64>] = [:]
        for index in 0..<count {
            let entry = 16 + 32 * index
            let guid = try bytes.bytes(at: entry, count: 16)
            let offset = try bytes.load(UInt64.self, at: entry + 16, .little)
            let length = UInt64(try bytes.load(UInt32.self, at: entry + 24, .little))
            let flags = try bytes.load(UInt32.self, at: entry + 28, .little)
            try ReferenceVHDX.require(
                offset >= 1 << 20 && offset % (1 << 20) == 0 && offset < 1 << 62 && length > 0
                    && length % (1 << 20) == 0,
                "region \(index) has \(length) bytes at \(offset)"
            )
            let range = offset..<offset + length
            try ReferenceVHDX.require(regions.updateValue(range, forKey: guid) == nil, "region \(index) is there twice")
            let isKnown = [VHDXBuilder.tableRegion, VHDXBuilder.metadataRegion].contains(guid)
            try ReferenceVHDX.require(isKnown || flags & 1 == 0, "unknown required region \(guidText(guid))")
            try ReferenceVHDX.require(flags <= 1, "region flags \(flags)")
        }
        guard let table = regions[VHDXBuilder.tableRegion], let metadata = regions[VHDXBuilder.metadataRegion] else {
            throw TestSupportError("a region is missing")
        }
        self.table = table
        self.metadata = metadata
        all = Array(regions.values)
        try checkDisjoint([0..<1 << 20, log] + all, in: fileLength)
    }
}

/// The metadata region (§3.5).
struct ReferenceMetadata {
    let size: UInt64
    let blockSize: UInt64
    let sectorSize: UInt64
    let isFixed: Bool
    let hasParent: Bool
    let parentPairs: [String: String]

    init(_ content: SparseBytes, _ region: Range<UInt64>) throws {
        let items = try Self.items(content, region)
        func item(_ guid: [UInt8], _ count: Int) throws -> [UInt8] {
            guard let bytes = items[guid], bytes.count == count else {
                throw TestSupportError("item \(guidText(guid)) is missing or has a wrong length")
            }
            return bytes
        }
        let parameters = try item(VHDXBuilder.ItemID.fileParameters, 8)
        blockSize = UInt64(try parameters.load(UInt32.self, at: 0, .little))
        let flags = try parameters.load(UInt32.self, at: 4, .little)
        (isFixed, hasParent) = (flags & 1 != 0, flags & 2 != 0)
        size = try item(VHDXBuilder.ItemID.virtualDiskSize, 8).load(at: 0, .little)
        sectorSize = UInt64(try item(VHDXBuilder.ItemID.logicalSectorSize, 4).load(UInt32.self, at: 0, .little))
        let physical = try item(VHDXBuilder.ItemID.physicalSectorSize, 4).load(UInt32.self, at: 0, .little)
        _ = try item(VHDXBuilder.ItemID.virtualDiskID, 16)
        let (size, blockSize, sectorSize) = (size, blockSize, sectorSize)
        try ReferenceVHDX.require(flags <= 3, "file parameters \(flags)")
        try ReferenceVHDX.require(
            blockSize >= 1 << 20 && blockSize <= 256 << 20 && blockSize.nonzeroBitCount == 1,
            "block size \(blockSize)"
        )
        try ReferenceVHDX.require(
            [512, 4096].contains(sectorSize) && [512, 4096].contains(physical),
            "sector sizes \(sectorSize), \(physical)"
        )
        try ReferenceVHDX.require(size > 0 && size % sectorSize == 0 && size <= 64 << 40, "size \(size)")
        let locator = items[VHDXBuilder.ItemID.parentLocator]
        try ReferenceVHDX.require((locator != nil) == (flags & 2 != 0), "parent locator and has-parent differ")
        parentPairs = try locator.map(Self.pairs) ?? [:]
    }

    /// The system items.
    private static func items(_ content: SparseBytes, _ region: Range<UInt64>) throws -> [[UInt8]: [UInt8]] {
        let table = content[region.lowerBound..<region.lowerBound + 65536]
        let count = Int(try table.load(UInt16.self, at: 10, .little))
        let isTable = table.starts(with: Array("metadata".utf8)) && count <= 2047
        try ReferenceVHDX.require(isTable, "no metadata table")
        var items: [[UInt8]: [UInt8]] = [:]
        var seen: Set<[UInt8]> = []
        var ranges: [Range<UInt64>] = []
        for index in 0..<count {
            let entry = 32 + 32 * index
            let guid = try table.bytes(at: entry, count: 16)
            let offset = UInt64(try table.load(UInt32.self, at: entry + 16, .little))
            let length = UInt64(try table.load(UInt32.self, at: entry + 20, .little))
            let flags = try table.load(UInt32.self, at: entry + 24, .little)
            let isUser = flags & 1 != 0
            try ReferenceVHDX.require(flags <= 7 && flags & 5 != 5, "item flags \(flags)")
            try ReferenceVHDX.require(seen.insert(guid + [isUser ? 1 : 0]).inserted, "item \(index) is there twice")
            let isPlaced = length == 0 ? offset == 0 : offset >= 65536 && offset + length <= region.count
            try ReferenceVHDX.require(isPlaced, "item \(index) has \(length) bytes at \(offset)")
            let range = region.lowerBound + offset..<region.lowerBound + offset + length
            if length > 0 { ranges.append(range) }
            let isKnown = standardItems.contains(guid)
            try ReferenceVHDX.require(isUser || isKnown || flags & 4 == 0, "unknown item \(guidText(guid)) is required")
            if !isUser { items[guid] = content[range] }
        }
        try ReferenceVHDX.require(items[VHDXBuilder.ItemID.incompleteFile] == nil, "the file is incomplete")
        try checkDisjoint(ranges, in: content.count)
        return items
    }

    private static let standardItems: Set<[UInt8]> = [
        VHDXBuilder.ItemID.fileParameters, VHDXBuilder.ItemID.virtualDiskSize, VHDXBuilder.ItemID.virtualDiskID,
        VHDXBuilder.ItemID.logicalSectorSize, VHDXBuilder.ItemID.physicalSectorSize, VHDXBuilder.ItemID.parentLocator,
        guidBytes("DA02D7BC-3D3A-423C-AC88-2A36AB21479B"), guidBytes("10E1AE8A-4B7E-4169-A40F-CD70DE928393"),
    ]

    private static func pairs(_ item: [UInt8]) throws -> [String: String] {
        let type = try item.bytes(at: 0, count: 16)
        try ReferenceVHDX.require(type == guidBytes("B04AEFB7-D19E-4A81-B789-25B8E9445913"), "a foreign locator")
        var pairs: [String: String] = [:]
        for index in 0..<Int(try item.load(UInt16.self, at: 18, .little)) {
            let pair = 20 + 12 * index
            func text(_ offset: Int, _ count: Int) throws -> String {
                let start = Int(try item.load(UInt32.self, at: offset, .little))
                let length = Int(try item.load(UInt16.self, at: count, .little))
                try ReferenceVHDX.require(start > 0 && length > 0 && length % 2 == 0, "pair \(index) of the locator")
                return decodeUTF16(try item.bytes(at: start, count: length), .little)
            }
            let (key, value) = (try text(pair, pair + 8), try text(pair + 4, pair + 10))
            try ReferenceVHDX.require(pairs.updateValue(value, forKey: key) == nil, "key \(key) is there twice")
        }
        try ReferenceVHDX.require(pairs["parent_linkage"] != nil, "no parent_linkage")
        return pairs
    }
}

/// Throws unless the ranges lie apart, and end with the file at the latest.
func checkDisjoint(_ ranges: [Range<UInt64>], in length: UInt64) throws {
    var end: UInt64 = 0
    for range in ranges.filter({ !$0.isEmpty }).sorted(by: { $0.lowerBound < $1.lowerBound }) {
        guard range.lowerBound >= end else { throw TestSupportError("\(range) overlaps what ends at \(end)") }
        end = range.upperBound
    }
    guard end <= length else { throw TestSupportError("\(end) bytes are described, the file has \(length)") }
}
