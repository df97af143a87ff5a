public import BlockDevice
public import ByteIO

/// An open VHDX file.
public final class VHDXLayer: WritableImageLayer {
    public let file: FailStopFile
    public let size: UInt64
    /// What the file says about itself.
    public let facts: VHDXFacts

    init(_ file: any HostFile, _ options: VHDXOpenOptions) throws(DiskError) {
        throw DiskError(.unsupportedFeature, "not built yet", path: file.path)
    }

    /// What children would record of this disk now: it changes with the first write of a session.
    public var dataWriteGUID: GUID { facts.dataWriteGUID }

    public func extent(at offset: UInt64, limit: UInt64) throws(DiskError) -> Extent {
        Extent(.zero, count: limit)
    }

    public func write(_ bytes: RawSpan, at offset: UInt64, below: any LowerDisk) throws(DiskError) {}
    public func zero(_ range: Range<UInt64>, below: any LowerDisk) throws(DiskError) {}
    public func synchronize() throws(DiskError) {}
    public func finish() throws(DiskError) {}
}
