internal import ByteIO

/// A VHDX file that was built, and where its parts are.
public struct BuiltVHDX: Sendable {
    /// The file.
    public var content: SparseBytes
    /// Where each block begins that has a place in the file.
    public fileprivate(set) var blockOffsets: [UInt64: UInt64] = [:]
    /// Where the bitmap of each chunk begins that has one.
    public fileprivate(set) var bitmapOffsets: [UInt64: UInt64] = [:]
    /// Where the last part of the file ends.
    public fileprivate(set) var end: UInt64 = 0
    /// Where the entries of the log begin, from the log's start.
    public var logPositions: [UInt64] = []
}

extension VHDXBuilder {
    /// Makes the file.
    public func build() -> BuiltVHDX {
        var built = layout()
        built.content.store(identifier, at: 0)
        built.content.store(header(.header1), at: 64 << 10)
        built.content.store(header(.header2), at: 128 << 10)
        built.content.store(regionTable(.regions1), at: 192 << 10, keepingHoles: true)
        built.content.store(regionTable(.regions2), at: 256 << 10, keepingHoles: true)
        let metadata = metadata()
        built.content.store(metadata.table, at: metadataOffset, keepingHoles: true)
        for item in metadata.items { built.content.store(item.bytes, at: metadataOffset + UInt64(item.offset)) }
        putTable(into: &built)
        putBlocks(into: &built)
        for (chunk, offset) in built.bitmapOffsets { putBitmap(chunk, into: &built.content, at: offset) }
        built.content.resize(to: fileLength ?? built.end + surplusLength)
        putLog(into: &built)
        for edit in edits where edit.structures.contains(.file) {
            built.content.store(edit.bytes, at: edit.offset)
        }
        return built
    }

    /// Finds a place for each block and bitmap.
    private func layout() -> BuiltVHDX {
        var built = BuiltVHDX(content: SparseBytes())
        let structures = [
            Self.mib, logOffset + UInt64(logLength), metadataOffset + UInt64(metadataLength),
            tableOffset + UInt64(usedTableLength),
        ]
        let regionsEnd = (structures + extraRegions.map { $0.offset &+ UInt64($0.length) }).max() ?? Self.mib
        var end = payloadOffset ?? roundUp(regionsEnd, Self.mib)
        let chunks = Set(blocks.filter { $0.value.state == .partiallyPresent }.map { $0.key / chunkRatio })
            .union(extraBitmaps)
        let order = order ?? []
        for block in order + Set(blocks.keys).subtracting(order).sorted() {
            guard let content = blocks[block] else { continue }
            let chunk = block / chunkRatio
            if !bitmapsAreLast, chunks.contains(chunk), built.bitmapOffsets[chunk] == nil {
                built.bitmapOffsets[chunk] = end
                end += Self.mib
            }
            let isPresent = content.state == .fullyPresent || content.state == .partiallyPresent
            guard isPresent || content.isAnchored else { continue }
            if let gap = gaps[block] {
                built.content.store([UInt8](repeating: staleByte, count: 1 << 20), at: end)
                end += gap * Self.mib
            }
            built.blockOffsets[block] = content.offset ?? end
            end = max(end, (content.offset ?? end) + UInt64(blockSize))
        }
        for chunk in chunks.sorted() where built.bitmapOffsets[chunk] == nil {
            built.bitmapOffsets[chunk] = end
            end += Self.mib
        }
        built.end = max(end, regionsEnd)
        return built
    }

    private func putTable(into built: inout BuiltVHDX) {
        var entries: [UInt64: UInt64] = [:]
        for (block, content) in blocks {
            entries[entryIndex(ofBlock: block)] = content.state.rawValue | built.blockOffsets[block, default: 0]
        }
        for (chunk, offset) in built.bitmapOffsets { entries[entryIndex(ofBitmap: chunk)] = 6 | offset }
        entries.merge(entryOverrides) { $1 }
        for (index, entry) in entries where entry != 0 || entryOverrides[index] != nil {
            built.content.store(littleEndian(entry), at: tableOffset + index * 8)
        }
    }

    /// Writes what the blocks hold, page by page: large blocks stay sparse.
    private func putBlocks(into built: inout BuiltVHDX) {
        let stale = [UInt8](repeating: staleByte, count: 1 << 20)
        for (block, offset) in built.blockOffsets {
            let ends = [offset, offset + UInt64(blockSize) - Self.mib]
            for start in Set(ends) { built.content.store(stale, at: start) }
            let disk = block * UInt64(blockSize)
            for range in presentRanges(of: block) {
                built.content.zero(range.lowerBound - disk + offset..<range.upperBound - disk + offset)
            }
        }
        disk.forEachStoredPage { place, page in
            let block = place / UInt64(blockSize)
            guard let offset = built.blockOffsets[block] else { return }
            for range in presentRanges(ofPageAt: place) {
                let start = Int(range.lowerBound - place)
                let target = range.lowerBound - block * UInt64(blockSize) + offset
                built.content.store(Array(page[start..<start + range.count]), at: target)
            }
        }
    }

    /// Writes the bitmap of a chunk: the least significant bit is the first sector.
    private func putBitmap(_ chunk: UInt64, into content: inout SparseBytes, at offset: UInt64) {
        content.store([hasStaleBits ? 0xFF : 0], at: offset)
        let bytesPerBlock = sectorsPerBlock / 8
        for place in 0..<chunkRatio {
            let block = blocks[chunk * chunkRatio + place]
            var bits = [UInt8](repeating: hasStaleBits ? 0xFF : 0, count: Int(bytesPerBlock))
            if let block, block.state == .partiallyPresent {
                bits = [UInt8](repeating: 0, count: Int(bytesPerBlock))
                for (sector, isPresent) in block.present.enumerated() where isPresent {
                    bits[sector / 8] |= 1 << UInt8(sector % 8)
                }
            } else if !hasStaleBits {
                continue
            }
            content.store(bits, at: offset + place * bytesPerBlock)
        }
    }
}
