/// A disk whose bytes stand in the file one after the other: raw images, ISO images, the data of a fixed VHD.
public final class FlatImage: WritableImageLayer {
    public let file: FailStopFile
    public let size: UInt64
    /// How much of the disk the file holds; the rest reads as zeros.
    private let storedBytes: UInt64

    /// Shows the first bytes of a file as a disk.
    ///
    /// - Parameters:
    ///   - file: the image file.
    ///   - size: the disk's size in bytes.
    ///   - storedBytes: how many of them the file holds; the rest are zeros that can't be written.
    public init(_ file: any HostFile, size: UInt64, storedBytes: UInt64) {
        self.file = FailStopFile(file)
        self.size = size
        self.storedBytes = min(storedBytes, size)
    }

    public func extent(at offset: UInt64, limit: UInt64) -> Extent {
        offset < storedBytes
            ? Extent(.file(offset: offset), count: min(limit, storedBytes - offset))
            : Extent(.zero, count: min(limit, size - offset))
    }

    public func write(_ bytes: RawSpan, at offset: UInt64, below: any LowerDisk) throws(DiskError) {
        try checkStored(offset + UInt64(bytes.byteCount))
        try file.write(bytes, at: offset)
    }

    public func zero(_ range: Range<UInt64>, below: any LowerDisk) throws(DiskError) {
        try checkStored(range.upperBound)
        try file.zero(range)
    }

    private func checkStored(_ end: UInt64) throws(DiskError) {
        guard end > storedBytes else { return }
        throw DiskError(.readOnly, "the file holds the disk only up to \(storedBytes)", path: file.path)
    }

    public func synchronize() throws(DiskError) {
        try file.synchronize()
    }

    public func finish() throws(DiskError) {
        try file.synchronize()
    }
}
