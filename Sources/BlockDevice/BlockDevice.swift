internal import ByteIO
public import Platform

/// The bytes of a virtual disk, or of a part of one.
///
/// Ranges that reach past `size` are the caller's mistake and throw `.outOfRange`. Calls may come from many threads at once; of two
/// overlapping writes either may win, byte by byte, and a read beside a write sees old or new bytes, never others.
public protocol BlockDevice: AnyObject, Sendable {
    /// Size in bytes.
    var size: UInt64 { get }

    /// Whether writes are refused.
    var isReadOnly: Bool { get }

    /// Fills the whole buffer with the bytes from `offset` on.
    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(DiskError)

    /// Writes all bytes, or throws.
    func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError)

    /// Makes a range read as zeros; gives space back where it can.
    func zero(_ range: Range<UInt64>) throws(DiskError)

    /// Makes all that was written durable. Once the host has failed to sync, every later call fails too.
    func synchronize() throws(DiskError)

    /// Whether data is stored at `offset`, and up to where (at most `limit`).
    func allocation(at offset: UInt64, limit: UInt64) throws(DiskError) -> HostAllocation

    /// Space that the disk really uses, and when it was changed last.
    func usage() throws(DiskError) -> HostUsage

    /// Where on the host a range stands, if that is in few pieces and in memory; nil where it must be read.
    func hostBytes(of range: Range<UInt64>) throws(DiskError) -> HostBytes?
}

extension BlockDevice {
    /// What is not known to stand on the host must be read.
    public func hostBytes(of range: Range<UInt64>) throws(DiskError) -> HostBytes? { nil }

    /// Reads bytes for a structure; fewer at the end of the device, none behind it.
    public func readBytes(at offset: UInt64, count: Int) throws(DiskError) -> [UInt8] {
        guard offset < size, count > 0 else { return [] }
        var bytes = [UInt8](repeating: 0, count: Int(min(UInt64(count), size - offset)))
        try bytes.withMutableBytes { (span) throws(DiskError) in try read(into: &span, at: offset) }
        return bytes
    }
}
