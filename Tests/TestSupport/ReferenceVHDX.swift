internal import ByteIO

/// A plain reader of VHDX files, straight from `formats.md` §3 and slow: the judge of what the provider wrote.
///
/// It takes nothing for granted: it throws, with words, at the first broken rule. A log that is not empty is replayed into a copy.
public struct ReferenceVHDX: Sendable {
    /// An entry of the table that is not simply zero.
    public struct Block: Sendable {
        /// The state's number (§3.6).
        public let state: UInt64
        /// Where the block is in the file; 0 for nowhere.
        public let offset: UInt64
    }

    /// The size of the disk.
    public let size: UInt64
    /// How many data bytes a block has.
    public let blockSize: UInt64
    /// 512 or 4096.
    public let sectorSize: UInt64
    /// Whether the disk has a parent.
    public let isDifferencing: Bool
    /// Whether the blocks are to stay allocated.
    public let isFixed: Bool
    /// Keys and values of the parent locator.
    public let parentPairs: [String: String]
    /// Whether both headers are good and, but for sequence number and checksum, equal.
    public let headersAgree: Bool
    /// Whether both region tables are good and equal, after a replay.
    public let regionTablesAgree: Bool
    /// The sequence number of the header that counts.
    public let sequence: UInt64
    /// 16 bytes in file order.
    public let fileWriteGUID: [UInt8]
    /// What children record, 16 bytes in file order.
    public let dataWriteGUID: [UInt8]
    /// Whether the header says that the log is empty.
    public let logIsEmpty: Bool
    /// How many entries of the log were replayed.
    public let replayedEntries: Int
    /// The payload blocks of which the table says anything.
    public let blocks: [UInt64: Block]
    /// Where the bitmap of each chunk begins that has one.
    public let bitmapOffsets: [UInt64: UInt64]
    /// The file after the replay.
    public let content: SparseBytes

    /// Reads a file; throws if it breaks a rule.
    public init(_ file: SparseBytes) throws {
        try Self.require(file[0..<8] == Array("vhdxfile".utf8), "there is no file identifier")
        let header = try ReferenceHeader.current(of: file)
        headersAgree = ReferenceHeader.agree(in: file)
        sequence = header.sequence
        fileWriteGUID = header.fileWriteGUID
        dataWriteGUID = header.dataWriteGUID
        logIsEmpty = header.logGUID.allSatisfy { $0 == 0 }
        let log = ReferenceLog(file, header)
        let replayed = logIsEmpty ? (file, 0) : try log.replayed()
        (content, replayedEntries) = replayed

        let copies = [content[192 << 10..<256 << 10], content[256 << 10..<320 << 10]]
        regionTablesAgree = copies[0] == copies[1] && ReferenceRegions.isGood(copies[0])
        guard let table = copies.first(where: ReferenceRegions.isGood) else {
            throw TestSupportError("neither region table is good")
        }
        let regions = try ReferenceRegions(table, log: header.logRange, fileLength: content.count)
        let metadata = try ReferenceMetadata(content, regions.metadata)
        size = metadata.size
        blockSize = metadata.blockSize
        sectorSize = metadata.sectorSize
        isFixed = metadata.isFixed
        isDifferencing = metadata.hasParent
        parentPairs = metadata.parentPairs
        let blockTable = try ReferenceTable(content, regions, metadata, log: header.logRange)
        blocks = blockTable.blocks
        bitmapOffsets = blockTable.bitmapOffsets
    }

    /// How many payload blocks share a bitmap.
    public var chunkRatio: UInt64 { (1 << 23) * sectorSize / blockSize }

    /// Which sectors of a block are its own: all or none of them, or what the bitmap says.
    public func presentSectors(of block: UInt64) -> [Bool] {
        let sectors = Int(blockSize / sectorSize)
        let state = blocks[block]?.state
        guard state == 7, let bitmap = bitmapOffsets[block / chunkRatio] else {
            return [Bool](repeating: state == 6, count: sectors)
        }
        let first = bitmap + block % chunkRatio * UInt64(sectors) / 8
        let bits = content[first..<first + UInt64(sectors) / 8]
        return (0..<sectors).map { bits[$0 / 8] >> UInt8($0 % 8) & 1 == 1 }
    }

    /// What the disk shows above `lower`, or above zeros.
    public func shown(over lower: SparseBytes? = nil) -> SparseBytes {
        var shown = SparseBytes(count: size)
        if isDifferencing, let lower {
            shown = lower
            shown.resize(to: size)
        }
        var places: [UInt64: UInt64] = [:]
        var bitmaps: [UInt64: [Bool]] = [:]
        for (block, entry) in blocks where entry.state != 0 {
            let start = block * blockSize
            if entry.state == 7 {
                bitmaps[block] = presentSectors(of: block)
            } else {
                shown.zero(start..<min(size, start + blockSize))
            }
            guard entry.state >= 6 else { continue }
            for mib in 0..<blockSize >> 20 { places[entry.offset >> 20 + mib] = start + mib << 20 }
        }
        for (block, bits) in bitmaps {
            for (sector, isPresent) in bits.enumerated() where isPresent {
                let start = block * blockSize + UInt64(sector) * sectorSize
                if start < size { shown.zero(start..<min(size, start + sectorSize)) }
            }
        }
        content.forEachStoredPage { offset, page in
            guard let place = places[offset >> 20] else { return }
            let start = place + offset % (1 << 20)
            let pageEnd = min(size, start + UInt64(page.count))
            guard let bits = bitmaps[start / blockSize] else {
                if start < pageEnd { shown.store(Array(page[..<Int(pageEnd - start)]), at: start, keepingHoles: true) }
                return
            }
            for sector in stride(from: start, to: pageEnd, by: Int(sectorSize))
            where bits[Int(sector % blockSize / sectorSize)] {
                let end = min(sector + sectorSize, pageEnd)
                shown.store(Array(page[Int(sector - start)..<Int(end - start)]), at: sector, keepingHoles: true)
            }
        }
        return shown
    }

    static func require(_ holds: Bool, _ text: @autoclosure () -> String) throws {
        if !holds { throw TestSupportError(text()) }
    }
}

/// One of the two headers (§3.2).
struct ReferenceHeader {
    let sequence: UInt64
    let fileWriteGUID: [UInt8]
    let dataWriteGUID: [UInt8]
    let logGUID: [UInt8]
    let version: UInt16
    let logVersion: UInt16
    let logRange: Range<UInt64>

    /// The good header with the larger sequence number.
    static func current(of file: SparseBytes) throws -> ReferenceHeader {
        let good = try copies(of: file).filter(isGood).map { try ReferenceHeader($0) }
        let copies = copies(of: file)
        guard let best = good.max(by: { $0.sequence < $1.sequence }) else {
            throw TestSupportError("neither header is good")
        }
        if good.count == 2, good[0].sequence == good[1].sequence {
            try ReferenceVHDX.require(copies[0][..<80] == copies[1][..<80], "headers of one sequence number differ")
        }
        try ReferenceVHDX.require(best.version == 1, "version \(best.version)")
        guard best.logGUID.contains(where: { $0 != 0 }) else { return best }
        let log = best.logRange
        try ReferenceVHDX.require(best.logVersion == 0, "log version \(best.logVersion)")
        let isPlaced = log.lowerBound >= 1 << 20 && log.lowerBound % (1 << 20) == 0 && log.upperBound <= file.count
        try ReferenceVHDX.require(isPlaced, "the log \(log) is not in its place")
        try ReferenceVHDX.require(!log.isEmpty && log.count % (1 << 20) == 0, "the log has \(log.count) bytes")
        return best
    }

    static func agree(in file: SparseBytes) -> Bool {
        let copies = copies(of: file)
        return copies.allSatisfy(isGood) && copies[0][16...] == copies[1][16...]
    }

    private static func copies(of file: SparseBytes) -> [[UInt8]] {
        [file[64 << 10..<68 << 10], file[128 << 10..<132 << 10]]
    }

    private static func isGood(_ bytes: [UInt8]) -> Bool {
        bytes.starts(with: Array("head".utf8)) && hasGoodCRC(bytes)
    }

    private init(_ bytes: [UInt8]) throws {
        sequence = try bytes.load(at: 8, .little)
        fileWriteGUID = try bytes.bytes(at: 16, count: 16)
        dataWriteGUID = try bytes.bytes(at: 32, count: 16)
        logGUID = try bytes.bytes(at: 48, count: 16)
        logVersion = try bytes.load(at: 64, .little)
        version = try bytes.load(at: 66, .little)
        let length = UInt64(try bytes.load(UInt32.self, at: 68, .little))
        let offset = try bytes.load(UInt64.self, at: 72, .little)
        try ReferenceVHDX.require(offset <= 1 << 62, "the log is at \(offset)")
        logRange = offset..<offset + length
    }
}

/// Whether the checksum at 4 is that of all the bytes.
func hasGoodCRC(_ bytes: [UInt8]) -> Bool {
    var cleared = bytes
    cleared.store(UInt32(0), at: 4, .little)
    return (try? bytes.load(UInt32.self, at: 4, .little)) == crc32C(cleared)
}
