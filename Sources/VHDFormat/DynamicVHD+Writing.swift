internal import BlockDevice
internal import ByteIO
internal import Platform
internal import Synchronization

/// Writing: data first, then what makes it visible, then (at a sync) the tables in the file, after a sync of the data.
extension DynamicVHD {
    /// Changed table sectors are written back at the latest when there are so many (1 MiB).
    private static let changedLimit = 2048

    func write(_ bytes: RawSpan, at offset: UInt64, below: any LowerDisk) throws(DiskError) {
        try writeBlockwise(bytes, at: offset, below: below)
        if cache.changedCount > Self.changedLimit { try synchronize() }
    }

    func prepareToWrite() throws(DiskError) {
        guard !isPrepared.load(ordering: .acquiring) else { return }
        try allocator.withLock { (allocator) throws(DiskError) in try prepare(&allocator) }
    }

    /// Writes a run whose sectors have no bytes of their own yet; returns how many bytes it took.
    func writeUnsettled(_ bytes: RawSpan, at offset: UInt64, below: any LowerDisk) throws(DiskError) -> Int {
        try allocator.withLock { (allocator) throws(DiskError) in
            let extent = try extent(at: offset, limit: UInt64(bytes.byteCount))
            // Another writer was here first: `write` asks again.
            if case .file = extent.place { return 0 }
            let part = bytes.extracting(0..<Int(extent.count))
            // Zeros over zeros: nothing to keep. Over a parent they must be kept, whatever the parent shows today.
            if !isDifferencing, part.isAllZero { return part.byteCount }
            try prepare(&allocator)
            try withBlock(of: offset, &allocator) { (dataOffset) throws(DiskError) in
                let range = offset..<offset + UInt64(part.byteCount)
                try completeSectors(around: range, 512, blockAt: dataOffset, below: below)
                try file.write(part, at: dataOffset + layout.offsetInBlock(offset))
                return range
            }
            return part.byteCount
        }
    }

    /// Before the first write of the session.
    private func prepare(_ allocator: inout Allocator) throws(DiskError) {
        guard !isPrepared.load(ordering: .relaxed) else { return }
        try allocator.prepare(facts.footer, file)
        isPrepared.store(true, ordering: .releasing)
    }

    // MARK: Blocks and bits

    /// Runs `body` with the place of the data of a block, which is allocated if need be; then makes visible what `body` has written.
    ///
    /// - Parameter body: gets the file offset of the block's first data byte; returns the range of the disk that it wrote.
    private func withBlock(
        of offset: UInt64,
        _ allocator: inout Allocator,
        _ body: (_ dataOffset: UInt64) throws(DiskError) -> Range<UInt64>
    ) throws(DiskError) {
        let block = layout.block(of: offset)
        let entry = try table.entry(block)
        if entry != BlockTable.unallocated {
            let start = UInt64(entry) * 512
            let written = try body(start + layout.bitmapSize)
            try setBits(written, bitmapAt: start)
            return
        }
        let new = try allocator.allocate(block, facts.footer, file)
        let start = UInt64(new) * 512
        cache.forget(start / 512..<(start + layout.bitmapSize) / 512)
        if !isDifferencing {
            // All readers agree on a block whose bits are all set; the data is zero already.
            try file.write([UInt8](repeating: 0xFF, count: Int(layout.bitmapSize)), at: start)
            // A reader of the block that was here before may have loaded the zeros meanwhile.
            cache.forget(start / 512..<(start + layout.bitmapSize) / 512)
        }
        let written = try body(start + layout.bitmapSize)
        if isDifferencing { try setBits(written, bitmapAt: start) }
        try table.setEntry(block, new)
        allocator.didLink(block)
    }

    private func setBits(_ range: Range<UInt64>, bitmapAt start: UInt64) throws(DiskError) {
        var sector = layout.offsetInBlock(range.lowerBound) / 512
        let end = sector + (range.upperBound + 511) / 512 - range.lowerBound / 512
        while sector < end {
            let stop = min(end, (sector / 4096 + 1) * 4096)
            let bits = Int(sector % 4096)..<Int(sector % 4096) + Int(stop - sector)
            try cache.change(start / 512 + sector / 4096) { $0.setBits(bits) }
            sector = stop
        }
    }

    // MARK: Zeros

    func zero(_ range: Range<UInt64>, below: any LowerDisk) throws(DiskError) {
        var position = range.lowerBound
        while position < range.upperBound {
            let block = layout.block(of: position)
            let part = position..<min(range.upperBound, layout.diskRange(of: block).upperBound)
            try allocator.withLock { (allocator) throws(DiskError) in
                try zero(part, in: block, &allocator, below)
            }
            position = part.upperBound
            if cache.changedCount > Self.changedLimit { try synchronize() }
        }
    }

    private func zero(
        _ part: Range<UInt64>,
        in block: UInt64,
        _ allocator: inout Allocator,
        _ below: any LowerDisk
    ) throws(DiskError) {
        let entry = try table.entry(block)
        if !isDifferencing {
            guard entry != BlockTable.unallocated else { return }
            try prepare(&allocator)
            if part == layout.diskRange(of: block) {
                // Unlinked in memory; zeroed at once. Whatever of the two a power cut keeps, the block reads as zeros or as before.
                try table.setEntry(block, BlockTable.unallocated)
                allocator.didUnlink(block, from: entry)
                let data = UInt64(entry) * 512 + layout.bitmapSize
                return try file.zero(data..<data + layout.blockSize)
            }
        }
        var position = part.lowerBound
        while position < part.upperBound {
            let extent = try extent(at: position, limit: part.upperBound - position)
            let run = position..<position + extent.count
            switch extent.place {
            case .file(let fileOffset):
                try prepare(&allocator)
                try file.zero(fileOffset..<fileOffset + extent.count)
            case .zero:
                break
            case .parent:
                // The child must hold the zeros itself, or the parent's bytes would show.
                try prepare(&allocator)
                try withBlock(of: run.lowerBound, &allocator) { (dataOffset) throws(DiskError) in
                    try completeSectors(around: run, 512, blockAt: dataOffset, below: below)
                    let first = dataOffset + layout.offsetInBlock(run.lowerBound)
                    try file.zero(first..<first + UInt64(run.count))
                    return run
                }
            }
            position = run.upperBound
        }
    }

    // MARK: Durability

    /// Makes all that was written durable: first the data (and the zeroed or filled bitmaps of new blocks), then the table entries and
    /// bits that make it visible.
    func synchronize() throws(DiskError) {
        try flushing.withLock { (_) throws(DiskError) in
            let changes = allocator.withLock { _ in cache.changes() }
            try file.synchronize()
            guard !changes.isEmpty else { return }
            // Under the lock, so that no place of a bitmap is given to a new block meanwhile.
            try allocator.withLock { (_) throws(DiskError) in try cache.writeBack(changes) }
            try file.synchronize()
        }
    }

    func finish() throws(DiskError) {
        guard isPrepared.load(ordering: .acquiring) else { return }
        try synchronize()
        do throws(DiskError) {
            try allocator.withLock { (allocator) throws(DiskError) in try allocator.trim(facts.footer, file) }
        } catch  where error.kind == .noSpace {
            // Everything is durable; on a full host the file keeps its spare room.
        }
    }
}
