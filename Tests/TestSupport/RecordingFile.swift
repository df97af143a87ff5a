// What the members mean stands in the protocol.
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

public import BlockDevice
internal import ByteIO
internal import Platform

/// A file in memory that remembers every change, in order, so that any moment can be rebuilt: what the file held then, and
/// what a medium could hold if the power had gone at that moment.
public final class RecordingFile: HostFile {
    private let file: MemoryFile
    private let start: SparseBytes
    private let log = Locked<[Recording.Operation]>([])

    /// Makes a file whose first content is durable.
    public init(_ content: SparseBytes, path: String = "recorded") {
        start = content
        file = MemoryFile(content, path: path)
    }

    /// All that happened so far.
    public var recording: Recording {
        Recording(start: start, operations: log.withLock { $0 })
    }

    /// How many changes and syncs there were so far.
    public var operationCount: Int { log.withLock { $0.count } }

    /// All that is in the file now.
    public var content: SparseBytes { file.content }

    public var path: String { file.path }

    public func size() throws(DiskError) -> UInt64 { try file.size() }

    public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(DiskError) -> Int {
        try file.read(into: &buffer, at: offset)
    }

    public func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) {
        var copy = [UInt8](repeating: 0, count: bytes.byteCount)
        copy.withMutableBytes { $0.copy(bytes, to: 0) }
        note(.write(offset: offset, bytes: copy))
        try file.write(bytes, at: offset)
    }

    public func synchronize() throws(DiskError) {
        note(.synchronize)
        try file.synchronize()
    }

    public func truncate(to size: UInt64) throws(DiskError) {
        note(.truncate(size))
        try file.truncate(to: size)
    }

    public func zero(_ range: Range<UInt64>) throws(DiskError) {
        note(.zero(range))
        try file.zero(range)
    }

    public func allocation(at offset: UInt64, limit: UInt64) throws(DiskError) -> HostAllocation {
        try file.allocation(at: offset, limit: limit)
    }

    public func usage() throws(DiskError) -> HostUsage { try file.usage() }

    private func note(_ operation: Recording.Operation) {
        log.withLock { $0.append(operation) }
    }
}
