internal import BlockDevice
internal import ByteIO

/// The 1,024-byte header of a dynamic or differencing disk (formats.md §2.4).
struct DynamicHeader {
    static let byteCount = 1024
    private static let cookie = Array("cxsparse".utf8)

    /// Where the header stands.
    let offset: UInt64
    /// Where the block allocation table stands.
    let tableOffset: UInt64
    /// How many entries the table claims to have; may be far more than the disk needs.
    let maxTableEntries: UInt32
    /// Data bytes of a block, without its bitmap.
    let blockSize: UInt32
    /// The parent's unique id (differencing disks).
    let parentID: GUID
    /// Seconds since 2000 when the parent was changed last, or 0 (differencing disks).
    let parentTimestamp: UInt32
    /// The parent's name, often a whole Windows path.
    let parentName: String
    /// Where else the parent may be.
    let locators: [ParentLocator]
    /// A locator that is in use points behind the end of the file: it would come to lie on a block when the file grows.
    let hasLocatorOutside: Bool

    /// Whether a header with a good checksum stands at `offset`.
    static func isPlausible(at offset: UInt64, in file: any HostFile) throws(DiskError) -> Bool {
        guard let bytes = try bytes(at: offset, in: file), let stored = try? bytes.load(UInt32.self, at: 36, .big)
        else {
            return false
        }
        return bytes.starts(with: cookie) && stored == vhdChecksum(of: bytes, field: 36)
    }

    private static func bytes(at offset: UInt64, in file: any HostFile) throws(DiskError) -> [UInt8]? {
        let size = try file.size()
        guard offset % 512 == 0, offset <= size, size - offset >= UInt64(byteCount) else { return nil }
        return try file.readBytes("dynamic header", at: offset, count: byteCount)
    }

    /// Reads and checks the header that a footer points at.
    init(of footer: Footer, in file: any HostFile) throws(DiskError) {
        let offset = footer.dataOffset
        guard let bytes = try Self.bytes(at: offset, in: file) else {
            throw DiskError(
                .footerCorrupt,
                "footer: data offset is \(hex(offset)), expected a multiple of 512 inside the file",
                path: file.path
            )
        }
        guard bytes.starts(with: Self.cookie) else {
            throw DiskError(.headerCorrupt, "no dynamic header (\"cxsparse\") at offset \(offset)", path: file.path)
        }
        do {
            let stored: UInt32 = try bytes.load(at: 36, .big)
            let expected = vhdChecksum(of: bytes, field: 36)
            guard stored == expected else {
                throw DiskError(
                    .headerChecksum,
                    "dynamic header at offset \(offset): checksum is \(hex(stored)), its bytes give \(hex(expected))",
                    path: file.path
                )
            }
            let version: UInt32 = try bytes.load(at: 24, .big)
            guard version >> 16 == 1 else {
                throw DiskError(
                    .unsupportedHeaderVersion,
                    "dynamic header at offset \(offset): version is \(hex(version)), expected 0x10000",
                    path: file.path
                )
            }
            self.offset = offset
            tableOffset = try bytes.load(at: 16, .big)
            maxTableEntries = try bytes.load(at: 28, .big)
            blockSize = try bytes.load(at: 32, .big)
            parentID = GUID(bytes: try bytes.bytes(at: 40, count: 16)) ?? .zero
            parentTimestamp = try bytes.load(at: 56, .big)
            parentName = decodeUTF16(try bytes.bytes(at: 64, count: 512), .big)
            var locators: [ParentLocator] = []
            var hasLocatorOutside = false
            for index in 0..<8 where footer.diskType == .differencing {
                let entry = try bytes.bytes(at: 576 + 24 * index, count: 24)
                if let locator = try ParentLocator(entry: entry, in: file) {
                    locators.append(locator)
                } else if ParentLocator.isUsed(entry) {
                    hasLocatorOutside = true
                }
            }
            self.locators = locators
            self.hasLocatorOutside = hasLocatorOutside
        } catch let error as DiskError {
            throw error
        } catch {
            throw DiskError(.headerCorrupt, "the dynamic header at offset \(offset) is cut short", path: file.path)
        }
    }
}
