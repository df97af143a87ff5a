public import Platform

/// A part of a device: a partition of a disk.
public final class Slice: BlockDevice {
    /// The device that it is a part of.
    public let device: any BlockDevice
    /// Where it lies on the device, in bytes.
    public let range: Range<UInt64>

    public var size: UInt64 { range.upperBound - range.lowerBound }
    public var isReadOnly: Bool { device.isReadOnly }

    /// Shows a part of a device; what lies behind the device's end is left out.
    public init(_ device: any BlockDevice, range: Range<UInt64>) {
        self.device = device
        self.range = range.clamped(to: 0..<device.size)
    }

    public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(DiskError) {
        try device.read(into: &buffer, at: try place(offset, UInt64(buffer.byteCount)))
    }

    public func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) {
        try device.write(bytes, at: try place(offset, UInt64(bytes.byteCount)))
    }

    public func zero(_ range: Range<UInt64>) throws(DiskError) {
        let start = try place(range.lowerBound, range.upperBound - range.lowerBound)
        try device.zero(start..<start + (range.upperBound - range.lowerBound))
    }

    public func synchronize() throws(DiskError) {
        try device.synchronize()
    }

    public func allocation(at offset: UInt64, limit: UInt64) throws(DiskError) -> HostAllocation {
        let start = try place(offset, 0)
        guard offset < limit else { return HostAllocation(isData: false, end: limit) }
        let run = try device.allocation(at: start, limit: range.lowerBound + min(limit, size))
        return HostAllocation(isData: run.isData, end: run.end - range.lowerBound)
    }

    public func hostBytes(of range: Range<UInt64>) throws(DiskError) -> HostBytes? {
        let start = try place(range.lowerBound, UInt64(range.count))
        return try device.hostBytes(of: start..<start + UInt64(range.count))
    }

    public func usage() throws(DiskError) -> HostUsage {
        var usage = try device.usage()
        usage.allocatedBytes = min(usage.allocatedBytes, size)
        return usage
    }

    /// Where an offset lies on the device.
    private func place(_ offset: UInt64, _ count: UInt64) throws(DiskError) -> UInt64 {
        let (end, overflow) = offset.addingReportingOverflow(count)
        guard !overflow, end <= size else {
            throw DiskError(
                .outOfRange,
                "a request for \(count) bytes at offset \(offset) reaches past the end of the partition at \(size)"
            )
        }
        return range.lowerBound + offset
    }
}
