internal import ByteIO

/// A plain reader of sparse VHD files, straight from `formats.md` §2 and slow: the judge of what the provider wrote.
///
/// It takes nothing for granted: headers, table and blocks must lie in the file and not overlap.
public struct ReferenceVHD {
    /// The size of the disk.
    public let size: UInt64
    /// How many data bytes a block has.
    public let blockSize: UInt64
    /// Where the bitmap of each allocated block begins.
    public let blockOffsets: [UInt64: UInt64]
    /// How long a bitmap is.
    public let bitmapLength: UInt64
    /// Whether both footers are good and equal, and nothing lies behind the one at the end.
    public let footersAgree: Bool
    private let content: SparseBytes

    /// Reads the structures of a dynamic or differencing image; throws if they break a rule.
    ///
    /// The footer at the end decides, or the copy at 0 if there is none that is good (§2.3).
    public init(_ content: SparseBytes) throws {
        self.content = content
        let copy = content[0..<512]
        let tail = content[(max(content.count, 512) - 512)..<max(content.count, 512)]
        let tailIsGood = Self.isGoodFooter(tail)
        footersAgree = tailIsGood && copy == tail
        let footer = tailIsGood ? tail : copy
        guard Self.isGoodFooter(footer) else { throw TestSupportError("there is no good footer") }
        let type = try footer.load(UInt32.self, at: 60, .big)
        guard type == 3 || type == 4 else { throw TestSupportError("disk type \(type)") }

        let headerOffset = try footer.load(UInt64.self, at: 16, .big)
        let header = content[headerOffset..<headerOffset + 1024]
        guard header.starts(with: Array("cxsparse".utf8)), Self.hasGoodChecksum(header, at: 36) else {
            throw TestSupportError("bad dynamic header")
        }
        size = try footer.load(UInt64.self, at: 48, .big)
        blockSize = UInt64(try header.load(UInt32.self, at: 32, .big))
        bitmapLength = roundUp((blockSize / 512 + 7) / 8, 512)
        let tableOffset = try header.load(UInt64.self, at: 16, .big)
        let entries = UInt64(try header.load(UInt32.self, at: 28, .big))
        guard entries * blockSize >= size else { throw TestSupportError("the table is too small") }

        // Of a table that claims more than the file has, only what the disk needs counts.
        let needed = (size + blockSize - 1) / blockSize
        let listed = tableOffset + entries * 4 <= content.count ? entries : needed
        var used = [0..<512, headerOffset..<headerOffset + 1024, tableOffset..<tableOffset + roundUp(listed * 4, 512)]
        for index in 0..<8 {
            let locator = 576 + index * 24
            guard try header.load(UInt32.self, at: locator, .big) != 0 else { continue }
            let offset = try header.load(UInt64.self, at: locator + 16, .big)
            guard offset < 1 << 62 else { throw TestSupportError("a locator at \(offset)") }
            used.append(offset..<offset + UInt64(try header.load(UInt32.self, at: locator + 8, .big)))
        }
        let table = content[tableOffset..<tableOffset + needed * 4]
        var offsets: [UInt64: UInt64] = [:]
        for block in 0..<needed {
            let entry = try table.load(UInt32.self, at: Int(block) * 4, .big)
            guard entry != .max else { continue }
            offsets[block] = UInt64(entry) * 512
            used.append(UInt64(entry) * 512..<UInt64(entry) * 512 + bitmapLength + blockSize)
        }
        blockOffsets = offsets
        if tailIsGood { used.append(content.count - 512..<content.count) }
        try Self.checkDisjoint(used, in: content.count)
    }

    /// What the disk shows above `lower`, or above zeros.
    public func shown(over lower: SparseBytes? = nil) -> SparseBytes {
        var shown = lower ?? SparseBytes(count: size)
        shown.resize(to: size)
        for (block, offset) in blockOffsets {
            let bitmap = content[offset..<offset + bitmapLength]
            let sectors = min(blockSize, size - block * blockSize) / 512
            var sector: UInt64 = 0
            while sector < sectors {
                let first = sector
                while sector < sectors, bitmap[Int(sector / 8)] & 0x80 >> UInt8(sector % 8) != 0 { sector += 1 }
                if sector > first {
                    let data = offset + bitmapLength
                    let bytes = content[data + first * 512..<data + sector * 512]
                    shown.store(bytes, at: block * blockSize + first * 512, keepingHoles: true)
                }
                sector += sector < sectors ? 1 : 0
                while sector < sectors, bitmap[Int(sector / 8)] & 0x80 >> UInt8(sector % 8) == 0 { sector += 1 }
            }
        }
        return shown
    }

    /// Whether every sector that a block shows is present.
    public var bitmapsAreFull: Bool {
        blockOffsets.allSatisfy { block, offset in
            let bitmap = content[offset..<offset + bitmapLength]
            return (0..<min(blockSize, size - block * blockSize) / 512).allSatisfy {
                bitmap[Int($0 / 8)] & 0x80 >> UInt8($0 % 8) != 0
            }
        }
    }

    private static func isGoodFooter(_ bytes: [UInt8]) -> Bool {
        guard bytes.starts(with: Array("conectix".utf8)) else { return false }
        var seen = bytes
        if bytes[28..<32].elementsEqual(Array("tap\0".utf8)), !hasGoodChecksum(bytes, at: 64) { seen[85] = 0 }
        return hasGoodChecksum(seen, at: 64)
    }

    private static func hasGoodChecksum(_ bytes: [UInt8], at offset: Int) -> Bool {
        var cleared = bytes
        cleared.store(UInt32(0), at: offset, .big)
        return (try? bytes.load(UInt32.self, at: offset, .big)) == checksum(cleared)
    }

    private static func checkDisjoint(_ ranges: [Range<UInt64>], in length: UInt64) throws {
        var end: UInt64 = 0
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            guard range.lowerBound >= end else { throw TestSupportError("\(range) overlaps what ends at \(end)") }
            end = range.upperBound
        }
        guard end <= length else { throw TestSupportError("\(end) bytes are described, the file has \(length)") }
    }
}
