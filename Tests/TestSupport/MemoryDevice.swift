// What the members mean stands in the protocol.
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

public import BlockDevice
internal import ByteIO
internal import Platform

/// A disk in memory: the simplest device that keeps all promises of the protocol.
public final class MemoryDevice: BlockDevice {
    public let isReadOnly: Bool
    private let state: Locked<SparseBytes>

    /// Makes a disk with this content.
    public init(_ content: SparseBytes, isReadOnly: Bool = false) {
        self.isReadOnly = isReadOnly
        state = Locked(content)
    }

    /// All that is on the disk now.
    public var content: SparseBytes { state.withLock { $0 } }

    public var size: UInt64 { state.withLock { $0.count } }

    public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(DiskError) {
        try check(offset, UInt64(buffer.byteCount))
        _ = state.withLock { $0.read(into: &buffer, at: offset) }
    }

    public func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) {
        try check(offset, UInt64(bytes.byteCount))
        try checkWritable()
        state.withLock { $0.write(bytes, at: offset) }
    }

    public func zero(_ range: Range<UInt64>) throws(DiskError) {
        try check(range.lowerBound, range.upperBound - range.lowerBound)
        try checkWritable()
        state.withLock { $0.zero(range) }
    }

    public func synchronize() throws(DiskError) {}

    public func allocation(at offset: UInt64, limit: UInt64) throws(DiskError) -> HostAllocation {
        try check(offset, 0)
        return state.withLock { $0.allocation(at: offset, limit: limit) }
    }

    public func usage() throws(DiskError) -> HostUsage {
        let stored = state.withLock { $0.storedBytes }
        return HostUsage(allocatedBytes: stored, modifiedSeconds: 1_700_000_000, modifiedNanoseconds: 0)
    }

    private func check(_ offset: UInt64, _ count: UInt64) throws(DiskError) {
        let (end, overflow) = offset.addingReportingOverflow(count)
        guard !overflow, end <= size else { throw DiskError(.outOfRange, "past the end of the disk") }
    }

    private func checkWritable() throws(DiskError) {
        if isReadOnly { throw DiskError(.readOnly, "the disk is read-only") }
    }
}

extension BlockDevice {
    /// The bytes of a range.
    public func contents(_ range: Range<UInt64>) throws(DiskError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: range.count)
        try bytes.withMutableBytes { (span) throws(DiskError) in try read(into: &span, at: range.lowerBound) }
        return bytes
    }

    /// Writes an array.
    public func store(_ bytes: [UInt8], at offset: UInt64) throws(DiskError) {
        try bytes.withBytes { (span) throws(DiskError) in try write(span, at: offset) }
    }
}
