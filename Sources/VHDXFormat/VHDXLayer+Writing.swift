public import BlockDevice
internal import ByteIO
internal import Platform
internal import Synchronization

/// Writing: data first, then in memory what makes it visible; a flush brings that into the log and the tables.
extension VHDXLayer {
    /// One change of one block touches no more pages: two of the table, and the bits of the largest block.
    private static let pagesOfOneChange = 20

    public func write(_ bytes: RawSpan, at offset: UInt64, below: any LowerDisk) throws(DiskError) {
        try writeBlockwise(bytes, at: offset, below: below)
    }

    public func prepareToWrite() throws(DiskError) {
        guard !isPrepared.load(ordering: .acquiring) else { return }
        try changing { (allocator) throws(DiskError) in try prepare(&allocator) }
    }

    public func writeUnsettled(
        _ bytes: RawSpan,
        at offset: UInt64,
        below: any LowerDisk
    ) throws(DiskError) -> Int {
        try changing { (allocator) throws(DiskError) in try writeUnsettled(bytes, at: offset, below, &allocator) }
    }

    /// Writes a run whose sectors have no bytes of their own yet; returns how many bytes it took.
    private func writeUnsettled(
        _ bytes: RawSpan,
        at offset: UInt64,
        _ below: any LowerDisk,
        _ allocator: inout Allocator
    ) throws(DiskError) -> Int {
        let extent = try extent(at: offset, limit: UInt64(bytes.byteCount))
        // Another writer was here first: `write` asks again.
        if case .file = extent.place { return 0 }
        let part = bytes.extracting(0..<Int(extent.count))
        // Zeros over zeros: nothing to keep. Over a parent they must be kept, whatever the parent shows today.
        if extent.place == .zero, part.isAllZero {
            try settleZeros(layout.block(of: offset), &allocator)
            return part.byteCount
        }
        try prepare(&allocator)
        try fill(offset..<offset + extent.count, below, &allocator) { (place) throws(DiskError) in
            try file.write(part, at: place)
        }
        return part.byteCount
    }

    // MARK: Blocks and bits

    /// Gives a run of one block bytes of its own, and makes them visible. The run shows zeros or the parent so far.
    ///
    /// - Parameter body: writes the run's bytes; gets the place of the first one.
    private func fill(
        _ run: Range<UInt64>,
        _ below: any LowerDisk,
        _ allocator: inout Allocator,
        _ body: (_ place: UInt64) throws(DiskError) -> Void
    ) throws(DiskError) {
        let block = layout.block(of: run.lowerBound)
        let inBlock = layout.offsetInBlock(run.lowerBound)
        let entry = try table.entry(ofBlock: block)
        let isWhole = run == layout.diskRange(of: block)
        if entry.state == .partiallyPresent {
            let start = try place(of: entry, block)
            try completeSectors(around: run, layout.sectorSize, blockAt: start, below: below)
            try body(start + inBlock)
            // With all of its sectors it could become fully present; but the bits do as well, and cost no search.
            return try setBits(of: run, to: true, &allocator)
        }
        let start = try allocator.allocate(block: block, layout.blockSize, in: file)
        // Only a child's untouched block shows the parent; all others show zeros, and so does the new room.
        let isPartial = hasParent && entry.state == .notPresent && !isWhole
        if isPartial {
            try requireBitmap(of: block, &allocator)
            // What the bits say of a block that is not present means nothing.
            try setBits(of: layout.diskRange(of: block), to: false, &allocator)
            try completeSectors(around: run, layout.sectorSize, blockAt: start, below: below)
        }
        try body(start + inBlock)
        if isPartial { try setBits(of: run, to: true, &allocator) }
        let linked = BlockEntry(isPartial ? .partiallyPresent : .fullyPresent, at: start)
        allocator.changedPages.insert(try table.setEntry(linked, ofBlock: block))
        allocator.didLink(block)
    }

    private func requireBitmap(of block: UInt64, _ allocator: inout Allocator) throws(DiskError) {
        let chunk = layout.chunk(of: block)
        guard try table.entry(ofBitmap: chunk).state != .fullyPresent else { return }
        let place = try allocator.allocateBitmap(in: file)
        let entry = BlockEntry(.fullyPresent, at: place)
        allocator.changedPages.insert(try table.setEntry(entry, ofBitmap: chunk))
    }

    /// Sets or clears the bits of a run within one block; a sector that is touched counts whole.
    private func setBits(of run: Range<UInt64>, to isSet: Bool, _ allocator: inout Allocator) throws(DiskError) {
        let block = layout.block(of: run.lowerBound)
        let place = try bitmapPlace(of: block)
        let start = layout.diskRange(of: block).lowerBound
        let firstBit = layout.firstBit(ofBlock: block)
        var bit = firstBit + (run.lowerBound - start) / layout.sectorSize
        let end = firstBit + (run.upperBound - start + layout.sectorSize - 1) / layout.sectorSize
        while bit < end {
            let stop = min(end, (bit / 4096 + 1) * 4096)
            let bits = Int(bit % 4096)..<Int(bit % 4096) + Int(stop - bit)
            let sector = place / 512 + bit / 4096
            try cache.change(sector) { $0.setLowFirstBits(bits, to: isSet) }
            allocator.changedPages.insert(sector / 8)
            bit = stop
        }
    }

    // MARK: Zeros

    public func zero(_ range: Range<UInt64>, below: any LowerDisk) throws(DiskError) {
        var position = range.lowerBound
        while position < range.upperBound {
            let block = layout.block(of: position)
            if !hasParent, case let untouched = try table.run(from: block, in: .notPresent, limit: .max), untouched > 0
            {
                position = layout.diskRange(of: block + untouched - 1).upperBound
                continue
            }
            let part = position..<min(range.upperBound, layout.diskRange(of: block).upperBound)
            try changing { (allocator) throws(DiskError) in try zero(part, in: block, below, &allocator) }
            position = part.upperBound
        }
    }

    private func zero(
        _ part: Range<UInt64>,
        in block: UInt64,
        _ below: any LowerDisk,
        _ allocator: inout Allocator
    ) throws(DiskError) {
        let entry = try table.entry(ofBlock: block)
        let isWhole = part == layout.diskRange(of: block)
        switch entry.state {
        case .zero:
            return
        case .notPresent where !hasParent:
            return
        case .undefined, .unmapped:
            return try settleZeros(block, &allocator)
        case .notPresent where isWhole:
            try prepare(&allocator)
            return try unlink(block, &allocator)
        case .fullyPresent where isWhole && facts.diskType != .fixed, .partiallyPresent where isWhole:
            try prepare(&allocator)
            let start = try place(of: entry, block)
            // Unlinked in memory; zeroed at once. Whatever of the two a power cut keeps, the block reads as zeros or as before.
            try unlink(block, &allocator)
            allocator.didUnlink(block, from: start)
            return try file.zero(start..<start + layout.blockSize)
        default:
            try zeroRuns(of: part, below, &allocator)
        }
    }

    /// Of an undefined or unmapped block we show zeros, but other programs may show what was there before: now it has been written.
    private func settleZeros(_ block: UInt64, _ allocator: inout Allocator) throws(DiskError) {
        guard let state = try table.entry(ofBlock: block).state, state == .undefined || state == .unmapped else {
            return
        }
        try prepare(&allocator)
        try unlink(block, &allocator)
    }

    /// A block of zeros that takes no room, and hides the parent.
    private func unlink(_ block: UInt64, _ allocator: inout Allocator) throws(DiskError) {
        allocator.changedPages.insert(try table.setEntry(BlockEntry(.zero), ofBlock: block))
    }

    private func zeroRuns(
        of part: Range<UInt64>,
        _ below: any LowerDisk,
        _ allocator: inout Allocator
    ) throws(DiskError) {
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
                try fill(run, below, &allocator) { (place) throws(DiskError) in
                    try file.zero(place..<place + extent.count)
                }
            }
            position = run.upperBound
        }
    }

    // MARK: The lock

    /// Changes tables under the allocator's lock, when there is room in the next flush for it.
    private func changing<R>(_ body: (inout Allocator) throws(DiskError) -> R) throws(DiskError) -> R {
        guard pageLimit > 0 else {
            throw DiskError(.readOnly, "the image was opened for reading", path: file.path)
        }
        while true {
            let result: R? = try allocator.withLock { (allocator) throws(DiskError) in
                guard allocator.pageCount + Self.pagesOfOneChange <= pageLimit else { return nil }
                return try body(&allocator)
            }
            if let result { return result }
            try synchronize()
        }
    }
}
