internal import ByteIO

/// A layer whose disk is cut into blocks that get a place in the file when they are first written.
///
/// What has its place is overwritten without a lock; all else is the format's business. Block and sector sizes are powers of two.
public protocol BlockwiseLayer: WritableImageLayer {
    /// Data bytes of a block.
    var blockSize: UInt64 { get }

    /// Does what must be done before the first write of a session; quick when it has been done.
    func prepareToWrite() throws(DiskError)

    /// Writes the beginning of a run within one block whose first byte has no place of its own yet; returns how many bytes it took. None
    /// when another writer was faster.
    func writeUnsettled(_ bytes: RawSpan, at offset: UInt64, below: any LowerDisk) throws(DiskError) -> Int
}

extension BlockwiseLayer {
    /// Zeros are given back to the host from so many bytes on; below, holes cost more than they save.
    private var worthPunching: Int { 65_536 }

    /// Writes bytes block by block.
    public func writeBlockwise(_ bytes: RawSpan, at offset: UInt64, below: any LowerDisk) throws(DiskError) {
        var done = 0
        while done < bytes.byteCount {
            let position = offset + UInt64(done)
            let restOfBlock = blockSize - (position & (blockSize - 1))
            let count = min(UInt64(bytes.byteCount - done), restOfBlock)
            let part = bytes.extracting(done..<done + Int(count))
            if let count = try writeSettled(part, at: position) {
                done += count
            } else {
                done += try writeUnsettled(part, at: position, below: below)
            }
        }
    }

    /// Overwrites in place what has its place. Nil when the first byte has none yet.
    private func writeSettled(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) -> Int? {
        let extent = try extent(at: offset, limit: UInt64(bytes.byteCount))
        guard case .file(let fileOffset) = extent.place else { return nil }
        try prepareToWrite()
        let part = bytes.extracting(0..<Int(extent.count))
        if part.byteCount >= worthPunching, part.isAllZero {
            try file.zero(fileOffset..<fileOffset + extent.count)
        } else {
            try file.write(part, at: fileOffset)
        }
        return part.byteCount
    }

    /// A sector counts as a whole: what a write leaves of its first and last one is copied from below.
    ///
    /// - Parameters:
    ///   - run: the part of the disk that is written, within one block.
    ///   - sectorSize: how many bytes one bit stands for.
    ///   - place: where the block's first data byte is in the file.
    public func completeSectors(
        around run: Range<UInt64>,
        _ sectorSize: UInt64,
        blockAt place: UInt64,
        below: any LowerDisk
    ) throws(DiskError) {
        let start = run.lowerBound & ~(sectorSize - 1)
        let end = (run.upperBound + sectorSize - 1) & ~(sectorSize - 1)
        try copyUp(start..<run.lowerBound, place, below)
        try copyUp(run.upperBound..<end, place, below)
    }

    private func copyUp(_ range: Range<UInt64>, _ place: UInt64, _ below: any LowerDisk) throws(DiskError) {
        guard !range.isEmpty else { return }
        var bytes = [UInt8](repeating: 0, count: range.count)
        try bytes.withMutableBytes { (span) throws(DiskError) in
            try below.readBelow(into: &span, at: range.lowerBound)
        }
        try file.write(bytes, at: place + (range.lowerBound & (blockSize - 1)))
    }
}
