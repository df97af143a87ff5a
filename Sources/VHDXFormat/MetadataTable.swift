internal import BlockDevice
internal import ByteIO

/// The table of metadata items (formats.md §3.5). It has no checksum: the log protects it.
struct MetadataTable: Sendable {
    static let byteCount = 64 << 10
    private static let categoryLimit = 1024
    private static let itemLengthLimit: UInt32 = 1 << 20
    private static let categoryLengthLimit: UInt64 = 40 << 20

    /// An entry of the table.
    struct Entry: Sendable {
        let guid: GUID
        /// From the region's start.
        let offset: UInt32
        let length: UInt32
        let flags: UInt32

        var isUser: Bool { flags & 1 != 0 }
        var isRequired: Bool { flags & 4 != 0 }
        var hasReservedFlags: Bool { flags & ~7 != 0 }
    }

    /// The entries in the order of the table.
    let entries: [Entry]
    private let region: Range<UInt64>
    private let file: any HostFile

    init(in region: Range<UInt64>, of file: any HostFile) throws(DiskError) {
        self.region = region
        self.file = file
        let bytes = try file.readBytes("metadata table", at: region.lowerBound, count: Self.byteCount)
        guard bytes.starts(with: Array("metadata".utf8)) else {
            throw DiskError(
                .fileCorrupt,
                "metadata table at offset \(region.lowerBound): the signature 'metadata' is missing",
                path: file.path
            )
        }
        do {
            entries = try Self.entries(of: bytes)
        } catch {
            throw DiskError(.fileCorrupt, "metadata table: its entries reach past its end", path: file.path)
        }
        try checkPlaces()
        try checkNumbers()
    }

    private static func entries(of bytes: [UInt8]) throws(OutOfBounds) -> [Entry] {
        let count = Int(try bytes.load(UInt16.self, at: 10, .little))
        var entries: [Entry] = []
        for index in 0..<count {
            let at = 32 + 32 * index
            guard let guid = GUID(bytes: try bytes.bytes(at: at, count: 16)) else { continue }
            entries.append(
                Entry(
                    guid: guid,
                    offset: try bytes.load(at: at + 16, .little),
                    length: try bytes.load(at: at + 20, .little),
                    flags: try bytes.load(at: at + 24, .little)
                )
            )
        }
        return entries
    }

    private func checkPlaces() throws(DiskError) {
        var previous: (end: UInt64, guid: GUID)?
        for entry in entries.sorted(by: { ($0.offset, $0.length) < ($1.offset, $1.length) }) {
            let end = UInt64(entry.offset) + UInt64(entry.length)
            if entry.length == 0, entry.offset == 0 { continue }
            guard entry.length > 0, entry.offset >= UInt32(Self.byteCount), end <= region.upperBound - region.lowerBound
            else {
                throw damaged(entry, "is at \(entry.offset) with \(entry.length) bytes, not inside the region")
            }
            guard UInt64(entry.offset) >= previous?.end ?? 0 else {
                throw damaged(entry, "overlaps item \(previous?.guid.windowsText ?? "")")
            }
            previous = (end, entry.guid)
        }
    }

    private func checkNumbers() throws(DiskError) {
        struct Key: Hashable {
            let guid: GUID
            let isUser: Bool
        }
        var seen: Set<Key> = []
        for entry in entries {
            guard seen.insert(Key(guid: entry.guid, isUser: entry.isUser)).inserted else {
                throw damaged(entry, "is listed twice")
            }
            guard !entry.isUser || !entry.isRequired else { throw damaged(entry, "is a user's and marked as required") }
            guard entry.length <= Self.itemLengthLimit else { throw tooMuch(entry) }
        }
        for isUser in [false, true] {
            let category = entries.filter { $0.isUser == isUser }
            let length = category.reduce(0) { $0 + UInt64($1.length) }
            if let last = category.last, category.count > Self.categoryLimit || length > Self.categoryLengthLimit {
                throw tooMuch(last)
            }
        }
    }

    /// The system item with this GUID; a user's item may have the same one, and means nothing then.
    func systemItem(_ guid: GUID?) -> Entry? {
        entries.first { $0.guid == guid && !$0.isUser }
    }

    /// The bytes of an item.
    func content(of entry: Entry) throws(DiskError) -> [UInt8] {
        guard entry.length > 0 else { return [] }
        return try file.readBytes(
            "metadata item \(entry.guid.windowsText)",
            at: region.lowerBound + UInt64(entry.offset),
            count: Int(entry.length)
        )
    }

    /// The error for an item that breaks a rule.
    func damaged(_ entry: Entry, _ what: String) -> DiskError {
        DiskError(
            .fileCorrupt,
            "metadata table at offset \(region.lowerBound): item \(entry.guid.windowsText) \(what)",
            path: file.path
        )
    }

    private func tooMuch(_ entry: Entry) -> DiskError {
        DiskError(
            .limit,
            "metadata table at offset \(region.lowerBound): with item \(entry.guid.windowsText) it is more than can be handled "
                + "(\(Self.categoryLimit) items, \(Self.itemLengthLimit) bytes each)",
            path: file.path
        )
    }
}
