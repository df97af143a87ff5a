internal import BlockDevice
internal import ByteIO

/// The table of the file's regions, of which there are two copies (formats.md §3.4).
struct RegionTable: Sendable {
    static let byteCount = 64 << 10
    /// Where the two copies stand.
    static let offsets: [UInt64] = [192 << 10, 256 << 10]
    private static let entryLimit = 2047

    /// The block allocation table's region, in file order.
    static let blockAllocationTable = GUID(windowsText: "2DC27766-F623-4200-9D64-115E9BFD4A08")
    static let metadata = GUID(windowsText: "8B7CA206-4790-4B9A-B8FE-575F050F886E")

    private struct Entry {
        let guid: GUID
        let range: Range<UInt64>
        let isRequired: Bool
    }

    /// Where the block allocation table is.
    let tableRange: Range<UInt64>
    /// Where the metadata is.
    let metadataRange: Range<UInt64>
    /// All regions, known or not.
    let ranges: [Range<UInt64>]
    /// What both copies should hold, and the copy that doesn't: it is written again before anything else changes.
    let repair: (copy: Int, bytes: [UInt8])?
    /// What a user should know.
    let warnings: [String]

    init(in file: any HostFile) throws(DiskError) {
        var copies: [[UInt8]?] = []
        let fileSize = try file.size()
        for offset in Self.offsets {
            let isThere = fileSize >= offset + UInt64(Self.byteCount)
            copies.append(
                isThere ? Self.checked(try file.readBytes("region table", at: offset, count: Self.byteCount)) : nil
            )
        }
        guard let chosen = copies[0] ?? copies[1] else {
            throw DiskError(
                .fileCorrupt,
                "region tables: neither at offset 196608 nor at 262144 is one with the signature 'regi' and a good checksum",
                path: file.path
            )
        }
        if let bad = copies.firstIndex(where: { $0 != chosen }) {
            let what = copies[bad] == nil ? "is damaged" : "differs from the first"
            warnings = ["region table \(bad + 1) at offset \(Self.offsets[bad]) \(what); the other one is used"]
            repair = (bad, chosen)
        } else {
            (warnings, repair) = ([], nil)
        }

        let entries: [Entry]
        do {
            entries = try Self.entries(of: chosen, fileSize, file.path)
        } catch let error as DiskError {
            throw error
        } catch {
            throw DiskError(.fileCorrupt, "region table: its entries reach past its end", path: file.path)
        }
        try Self.check(entries, file.path)
        ranges = entries.map(\.range)
        guard let table = entries.first(where: { $0.guid == Self.blockAllocationTable }),
            let metadata = entries.first(where: { $0.guid == Self.metadata })
        else {
            throw DiskError(
                .fileCorrupt,
                "region table: the region of the block allocation table or of the metadata is missing",
                path: file.path
            )
        }
        tableRange = table.range
        metadataRange = metadata.range
    }

    /// The bytes, if signature and checksum are right.
    private static func checked(_ bytes: [UInt8]) -> [UInt8]? {
        guard bytes.starts(with: Array("regi".utf8)),
            let checksum = try? bytes.load(UInt32.self, at: 4, .little), checksum == bytes.crc32c(checksumAt: 4)
        else { return nil }
        return bytes
    }

    private static func entries(of bytes: [UInt8], _ fileSize: UInt64, _ path: String) throws -> [Entry] {
        let count = Int(try bytes.load(UInt32.self, at: 8, .little))
        guard count <= entryLimit else {
            throw DiskError(
                .fileCorrupt,
                "region table: it has \(count) entries, at most \(entryLimit) fit",
                path: path
            )
        }
        var entries: [Entry] = []
        for index in 0..<count {
            let at = 16 + 32 * index
            guard let guid = GUID(bytes: try bytes.bytes(at: at, count: 16)) else { continue }
            let offset = try bytes.load(UInt64.self, at: at + 16, .little)
            let length = UInt64(try bytes.load(UInt32.self, at: at + 24, .little))
            let mebibyte: UInt64 = 1 << 20
            guard offset >= mebibyte, offset % mebibyte == 0, length > 0, length % mebibyte == 0, offset <= fileSize,
                length <= fileSize - offset
            else {
                throw DiskError(
                    .fileCorrupt,
                    "region table: region \(guid.windowsText) is at offset \(offset) with \(length) bytes, expected multiples of "
                        + "\(mebibyte) inside the file of \(fileSize) bytes",
                    path: path
                )
            }
            let isRequired = try bytes.load(UInt32.self, at: at + 28, .little) & 1 == 1
            entries.append(Entry(guid: guid, range: offset..<offset + length, isRequired: isRequired))
        }
        return entries
    }

    private static func check(_ entries: [Entry], _ path: String) throws(DiskError) {
        var seen: Set<GUID> = []
        for entry in entries {
            guard seen.insert(entry.guid).inserted else {
                throw DiskError(
                    .fileCorrupt,
                    "region table: region \(entry.guid.windowsText) is listed twice",
                    path: path
                )
            }
            if entry.isRequired, entry.guid != blockAllocationTable, entry.guid != metadata {
                throw DiskError(
                    .unsupportedFeature,
                    "region table: region \(entry.guid.windowsText) is not known and marked as required; "
                        + "a newer program has made this image",
                    path: path
                )
            }
        }
    }
}
