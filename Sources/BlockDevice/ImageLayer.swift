/// Where the bytes of a run of a virtual disk are.
public struct Extent: Sendable, Hashable {
    /// The three answers of a format.
    public enum Place: Sendable, Hashable {
        /// In the layer's own file, from this offset on.
        case file(offset: UInt64)
        /// Nowhere: zeros.
        case zero
        /// Ask the layer below.
        case parent
    }

    /// Where the run's bytes are.
    public var place: Place
    /// How long the run is, in bytes; never 0.
    public var count: UInt64

    /// Makes an extent.
    @inlinable
    public init(_ place: Place, count: UInt64) {
        self.place = place
        self.count = count
    }
}

/// One image file of a chain, read: a format is a translation from virtual offsets to places. It never copies a guest's bytes.
public protocol ImageLayer: AnyObject, Sendable {
    /// The image file.
    var file: FailStopFile { get }

    /// The size of the virtual disk in bytes.
    var size: UInt64 { get }

    /// Where the bytes from `offset` on are. The run is at most `limit` bytes and never reaches past the layer's size.
    ///
    /// The caller asks for `offset < size` and `limit > 0` only.
    func extent(at offset: UInt64, limit: UInt64) throws(DiskError) -> Extent
}

/// A layer that can be written to: the leaf of a chain.
public protocol WritableImageLayer: ImageLayer {
    /// Writes bytes, allocating as needed. `offset + bytes.byteCount <= size`.
    ///
    /// - Parameter below: what the disk shows where this layer has nothing of its own; needed to complete partial sectors.
    func write(_ bytes: RawSpan, at offset: UInt64, below: any LowerDisk) throws(DiskError)

    /// Makes a range read as zeros, giving space back where the format lets it. `range` lies in the disk.
    func zero(_ range: Range<UInt64>, below: any LowerDisk) throws(DiskError)

    /// Makes all that was written durable.
    func synchronize() throws(DiskError)

    /// The last writer has gone: makes everything durable and the file as small and as clean as its format allows.
    func finish() throws(DiskError)
}

/// What lies below the leaf of a chain: its parents' bytes, or zeros.
public protocol LowerDisk: AnyObject, Sendable {
    /// Fills the whole buffer with what the disk shows below the leaf from `offset` on; zeros past its end.
    func readBelow(into buffer: inout MutableRawSpan, at offset: UInt64) throws(DiskError)
}
