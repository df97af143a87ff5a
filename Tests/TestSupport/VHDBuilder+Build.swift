internal import ByteIO

/// A VHD file that was built, and where its parts are.
public struct BuiltVHD: Sendable {
    /// The file.
    public var content: SparseBytes
    /// Where the table begins.
    public let tableOffset: UInt64
    /// Where the bitmap of each allocated block begins.
    public let blockOffsets: [UInt64: UInt64]
    /// How long a bitmap is.
    public let bitmapLength: UInt64
    /// Where the footer at the end begins.
    public let footerOffset: UInt64
    /// Where the headers, the table and the locators end.
    public let headersEnd: UInt64
}

extension VHDBuilder {
    /// Makes the file.
    public func build() -> BuiltVHD {
        subtype == .fixed ? buildFixed() : buildSparse()
    }

    private func buildFixed() -> BuiltVHD {
        var content = disk
        content.resize(to: size)
        appendFooter(to: &content, at: size)
        return BuiltVHD(
            content: content,
            tableOffset: 0,
            blockOffsets: [:],
            bitmapLength: 0,
            footerOffset: size,
            headersEnd: 0
        )
    }

    private func buildSparse() -> BuiltVHD {
        var content = SparseBytes()
        let table = tableOffset ?? headerOffset + 1024
        var end = headerOffset + 1024
        if table >= end || tableOffset == nil { end = table + roundUp(4 * entryCount, 512) }
        if batmap != .none { putBatmap(into: &content, at: &end) }
        let locatorOffsets = putLocators(into: &content, at: &end)
        end = max(end, table + roundUp(4 * entryCount, 512))

        let bitmapLength = roundUp((UInt64(blockSize) / 512 + 7) / 8, 512)
        let headersEnd = end
        var offsets: [UInt64: UInt64] = [:]
        for block in order ?? blocks.keys.sorted() {
            let free = end
            end += gaps[block, default: 0] * 512
            if alignment == .windows { end = roundUp(end + bitmapLength, 4096) - bitmapLength }
            // A gap of a whole terabyte stays a hole.
            content.store([UInt8](repeating: staleByte, count: Int(min(end - free, 1 << 20))), at: free)
            offsets[block] = end
            putBlock(block, into: &content, at: end, bitmapLength: bitmapLength)
            end += bitmapLength + UInt64(blockSize)
        }
        putTable(offsets, into: &content, at: table)
        content.store(header(tableOffset: table, locatorOffsets: locatorOffsets), at: headerOffset)
        if hasFooterCopy { content.store(footer(.copy), at: 0) }
        if alignment == .windows { end = roundUp(end + 512, 4096) - 512 }
        appendFooter(to: &content, at: end)
        return BuiltVHD(
            content: content,
            tableOffset: table,
            blockOffsets: offsets,
            bitmapLength: bitmapLength,
            footerOffset: end,
            headersEnd: headersEnd
        )
    }

    var entryCount: UInt64 {
        (size + UInt64(blockSize) - 1) / UInt64(blockSize) + UInt64(extraEntries)
    }

    private func putBlock(_ block: UInt64, into content: inout SparseBytes, at offset: UInt64, bitmapLength: UInt64) {
        let present = blocks[block, default: []]
        var bitmap = [UInt8](repeating: present.isEmpty ? 0xFF : 0, count: Int(bitmapLength))
        for (sector, isPresent) in present.enumerated() where isPresent {
            bitmap[sector / 8] |= 0x80 >> UInt8(sector % 8)
        }
        content.store(bitmap, at: offset)
        let data = offset + bitmapLength
        content.store([UInt8](repeating: staleByte, count: Int(blockSize)), at: data)
        for range in presentRanges(of: block) {
            content.store(disk[range], at: data + range.lowerBound % UInt64(blockSize))
        }
    }

    private func putTable(_ offsets: [UInt64: UInt64], into content: inout SparseBytes, at offset: UInt64) {
        let used = entryCount - UInt64(extraEntries)
        var table = [UInt8](repeating: 0xFF, count: Int(roundUp(4 * entryCount, 512)))
        for (block, place) in offsets { table.store(UInt32(place / 512), at: Int(block) * 4, .big) }
        for block in used..<entryCount { table.store(extraEntryValue, at: Int(block) * 4, .big) }
        for (block, entry) in entryOverrides { table.store(entry, at: Int(block) * 4, .big) }
        content.store(table, at: offset)
    }

    private func putLocators(into content: inout SparseBytes, at end: inout UInt64) -> [UInt64] {
        var offsets: [UInt64] = []
        for locator in locators {
            let offset = locator.offset ?? end
            let space = roundUp(max(1, UInt64(locator.bytes.count)), 512)
            content.store(locator.bytes + [UInt8](repeating: 0, count: Int(space) - locator.bytes.count), at: offset)
            end = max(end, offset + space)
            offsets.append(offset)
        }
        return offsets
    }

    private func putBatmap(into content: inout SparseBytes, at end: inout UInt64) {
        var map = [UInt8](repeating: 0, count: Int(roundUp((entryCount + 7) / 8, 512)))
        for (block, present) in blocks where present.allSatisfy({ $0 }) {
            map[Int(block / 8)] |= 0x80 >> UInt8(block % 8)
        }
        var header = [UInt8](repeating: 0, count: 512)
        header.store(Array("tdbatmap".utf8), at: 0)
        header.store(end + 512, at: 8, .big)
        header.store(UInt32(map.count / 512), at: 16, .big)
        header.store(UInt32(0x0001_0002), at: 20, .big)
        header.store(checksum(map) ^ (batmap == .badChecksum ? 1 : 0), at: 24, .big)
        header[29] = batmap == .encrypted ? 1 : 0
        content.store(header + map, at: end)
        end += 512 + UInt64(map.count)
    }

    private func appendFooter(to content: inout SparseBytes, at offset: UInt64) {
        if offset > content.count {
            content.store([UInt8](repeating: 0, count: Int(offset - content.count)), at: content.count)
        }
        if hasFooter { content.store(Array(footer(.tail).prefix(footerLength)), at: offset) }
        content.store(junkAfterFooter, at: content.count)
    }
}
