// What the members mean stands in the protocol.
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

public import BlockDevice
internal import Platform

/// A host file in memory, with holes: one of 2 TiB costs what is written to it.
public final class MemoryFile: HostFile {
    /// The name in messages.
    public let path: String
    private let state: Locked<SparseBytes>

    /// Makes a file.
    public init(_ content: SparseBytes = SparseBytes(), path: String = "memory") {
        self.path = path
        state = Locked(content)
    }

    /// All that is in the file now.
    public var content: SparseBytes {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }

    public func size() throws(DiskError) -> UInt64 {
        state.withLock { $0.count }
    }

    public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(DiskError) -> Int {
        state.withLock { $0.read(into: &buffer, at: offset) }
    }

    public func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) {
        state.withLock { $0.write(bytes, at: offset) }
    }

    public func synchronize() throws(DiskError) {}

    public func truncate(to size: UInt64) throws(DiskError) {
        state.withLock { $0.resize(to: size) }
    }

    public func zero(_ range: Range<UInt64>) throws(DiskError) {
        state.withLock { $0.zero(range) }
    }

    public func allocation(at offset: UInt64, limit: UInt64) throws(DiskError) -> HostAllocation {
        state.withLock { $0.allocation(at: offset, limit: limit) }
    }

    public func usage() throws(DiskError) -> HostUsage {
        let stored = state.withLock { $0.storedBytes }
        return HostUsage(allocatedBytes: stored, modifiedSeconds: 1_700_000_000, modifiedNanoseconds: 0)
    }
}
