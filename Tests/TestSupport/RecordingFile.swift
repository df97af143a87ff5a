// What the members mean stands in the protocol.
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

public import BlockDevice
internal import ByteIO
public import Platform

/// A file that remembers every change, in order, so that any moment can be rebuilt: what the file held then, and what a medium
/// could hold if the power had gone at that moment.
public final class RecordingFile: HostFile {
    private let file: any HostFile
    private let start: SparseBytes
    private let log = Locked(Log())

    private struct Log {
        var operations: [Recording.Operation] = []
        var ends: [Int] = []
    }

    /// Makes a file in memory whose first content is durable.
    public convenience init(_ content: SparseBytes, path: String = "recorded") {
        self.init(over: MemoryFile(content, path: path), holding: content)
    }

    /// Records what is done to a file, whose first content is durable.
    public init(over file: any HostFile, holding content: SparseBytes) {
        self.file = file
        start = content
    }

    /// All that happened so far.
    public var recording: Recording {
        let log = log.withLock { $0 }
        return Recording(start: start, operations: log.operations, ends: log.ends)
    }

    /// How many changes and syncs have begun so far.
    public var operationCount: Int { log.withLock { $0.operations.count } }

    /// All that is in the file now.
    public var content: SparseBytes {
        let recording = recording
        return recording.content(after: recording.operations.count)
    }

    public var path: String { file.path }
    public var canChangeSize: Bool { file.canChangeSize }

    public func size() throws(DiskError) -> UInt64 { try file.size() }

    public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(DiskError) -> Int {
        try file.read(into: &buffer, at: offset)
    }

    public func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) {
        var copy = [UInt8](repeating: 0, count: bytes.byteCount)
        copy.withMutableBytes { $0.copy(bytes, to: 0) }
        try record(.write(offset: offset, bytes: copy)) { () throws(DiskError) in try file.write(bytes, at: offset) }
    }

    public func synchronize() throws(DiskError) {
        try record(.synchronize) { () throws(DiskError) in try file.synchronize() }
    }

    public func truncate(to size: UInt64) throws(DiskError) {
        try record(.truncate(size)) { () throws(DiskError) in try file.truncate(to: size) }
    }

    public func zero(_ range: Range<UInt64>) throws(DiskError) {
        try record(.zero(range)) { () throws(DiskError) in try file.zero(range) }
    }

    public func allocation(at offset: UInt64, limit: UInt64) throws(DiskError) -> HostAllocation {
        try file.allocation(at: offset, limit: limit)
    }

    public func usage() throws(DiskError) -> HostUsage { try file.usage() }

    public func source(of range: Range<UInt64>) -> Descriptor? { file.source(of: range) }

    /// Many threads may be at it: a sync makes durable what had ended when it began.
    private func record(_ operation: Recording.Operation, _ body: () throws(DiskError) -> Void) throws(DiskError) {
        let index = log.withLock { log in
            log.operations.append(operation)
            log.ends.append(.max)
            return log.operations.count - 1
        }
        try body()
        log.withLock { $0.ends[index] = $0.operations.count }
    }
}
