extension VHDXBuilder {
    /// How many payload blocks the disk has.
    public var blockCount: UInt64 { (max(1, size) + UInt64(blockSize) - 1) / UInt64(blockSize) }

    /// How many logical sectors a block has.
    public var sectorsPerBlock: UInt64 { UInt64(blockSize) / UInt64(logicalSectorSize) }

    /// How many payload blocks share a bitmap.
    public var chunkRatio: UInt64 { (1 << 23) * UInt64(logicalSectorSize) / UInt64(blockSize) }

    /// How many entries the table must have.
    public var entryCount: UInt64 {
        guard subtype == .differencing else { return blockCount + (blockCount - 1) / chunkRatio }
        return (blockCount + chunkRatio - 1) / chunkRatio * (chunkRatio + 1)
    }

    /// The index of a payload block's entry.
    public func entryIndex(ofBlock block: UInt64) -> UInt64 { block + block / chunkRatio }

    /// The index of the entry of a chunk's bitmap.
    public func entryIndex(ofBitmap chunk: UInt64) -> UInt64 { (chunk + 1) * chunkRatio + chunk }

    /// What a disk shows of which this is the top layer: its own sectors, elsewhere `lower`, or zeros past its end.
    public func shown(over lower: SparseBytes? = nil) -> SparseBytes {
        var bytes = SparseBytes(count: size)
        if subtype == .differencing, let lower {
            bytes = lower
            bytes.resize(to: size)
        }
        for (block, content) in blocks where content.state != .notPresent {
            for range in hiddenRanges(of: block) { bytes.zero(range) }
        }
        disk.forEachStoredPage { offset, page in
            for range in presentRanges(ofPageAt: offset) {
                let start = Int(range.lowerBound - offset)
                bytes.store(Array(page[start..<start + range.count]), at: range.lowerBound)
            }
        }
        return bytes
    }

    /// The parts of the disk that are present in a block, cut at the disk's end.
    public func presentRanges(of block: UInt64) -> [Range<UInt64>] {
        guard let content = blocks[block] else { return [] }
        return [.fullyPresent, .partiallyPresent].contains(content.state) ? hiddenRanges(of: block) : []
    }

    /// The parts of the disk in which a block hides what lies below it.
    func hiddenRanges(of block: UInt64) -> [Range<UInt64>] {
        let start = block * UInt64(blockSize)
        let whole = (start..<start + UInt64(blockSize)).clamped(to: 0..<max(start, size))
        guard let content = blocks[block], content.state != .notPresent else { return [] }
        guard content.state == .partiallyPresent else { return [whole] }
        let present = content.present
        let unit = UInt64(logicalSectorSize)
        var ranges: [Range<UInt64>] = []
        var sector = 0
        while let first = present[sector...].firstIndex(of: true) {
            sector = present[first...].firstIndex(of: false) ?? present.count
            ranges.append((start + UInt64(first) * unit..<start + UInt64(sector) * unit).clamped(to: whole))
        }
        return ranges.filter { !$0.isEmpty }
    }

    /// The parts of a page of the disk that are present in this layer.
    func presentRanges(ofPageAt offset: UInt64) -> [Range<UInt64>] {
        let page = offset..<min(offset + SparseBytes.pageSize, size)
        let block = offset / UInt64(blockSize)
        guard !page.isEmpty, let content = blocks[block] else { return [] }
        if content.state == .fullyPresent { return [page] }
        guard content.state == .partiallyPresent else { return [] }
        let unit = UInt64(logicalSectorSize)
        return stride(from: page.lowerBound, to: page.upperBound, by: Int(unit)).compactMap { start in
            let isPresent = content.present[Int((start - block * UInt64(blockSize)) / unit)]
            return isPresent ? start..<min(start + unit, page.upperBound) : nil
        }
    }
}
