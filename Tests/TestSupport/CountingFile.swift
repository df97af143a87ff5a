// What the members mean stands in the protocol.
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

public import BlockDevice
internal import Platform

/// A file that counts the bytes which are read of it: whoever reads little can't hold much.
public final class CountingFile: HostFile {
    private let file: any HostFile
    private let count = Locked<UInt64>(0)

    /// Counts the reads of `file`.
    public init(_ file: any HostFile) {
        self.file = file
    }

    /// How many bytes were read so far.
    public var readBytes: UInt64 { count.withLock { $0 } }

    public var path: String { file.path }

    public func size() throws(DiskError) -> UInt64 { try file.size() }

    public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(DiskError) -> Int {
        let read = try file.read(into: &buffer, at: offset)
        count.withLock { $0 += UInt64(read) }
        return read
    }

    public func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) { try file.write(bytes, at: offset) }

    public func synchronize() throws(DiskError) { try file.synchronize() }

    public func truncate(to size: UInt64) throws(DiskError) { try file.truncate(to: size) }

    public func zero(_ range: Range<UInt64>) throws(DiskError) { try file.zero(range) }

    public func allocation(at offset: UInt64, limit: UInt64) throws(DiskError) -> HostAllocation {
        try file.allocation(at: offset, limit: limit)
    }

    public func usage() throws(DiskError) -> HostUsage { try file.usage() }
}
