// What the members mean stands in the protocol.
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

public import BlockDevice
internal import Platform

/// A host file whose calls can fail, come up short, or take their time.
public final class FaultyFile: HostFile {
    /// The calls of a host file.
    public enum Operation: Sendable, Hashable, CaseIterable {
        case size, read, write, synchronize, truncate, zero, allocation, usage
    }

    /// One call.
    public struct Call: Sendable {
        /// What was asked for.
        public let operation: Operation
        /// Where; the new length for `truncate`.
        public let offset: UInt64
        /// How many bytes.
        public let count: UInt64
        /// How many calls of this operation there were before.
        public let number: Int
    }

    /// What becomes of a call.
    public enum Verdict: Sendable {
        /// It is carried out.
        case pass
        /// It fails; of a write, the first `done` bytes have reached the file.
        case fail(DiskError, done: UInt64 = 0)
        /// A read gives at most so many bytes, as if the file ended there.
        case shorten(to: Int)
    }

    private let file: any HostFile
    private let judge: @Sendable (Call) -> Verdict
    private let calls = Locked<[Operation: Int]>([:])

    /// Wraps a file. `judge` is asked about every call, on the calling thread: one that waits delays the call.
    public init(_ file: any HostFile, judge: @escaping @Sendable (Call) -> Verdict) {
        self.file = file
        self.judge = judge
    }

    /// Wraps a file of which one call fails: the one numbered `number` of `operation`.
    public convenience init(
        _ file: any HostFile,
        failing operation: Operation,
        number: Int,
        with error: DiskError = DiskError(.io, "made to fail", errno: 5)
    ) {
        self.init(file) { $0.operation == operation && $0.number == number ? .fail(error) : .pass }
    }

    /// How many calls of an operation there were.
    public func callCount(of operation: Operation) -> Int {
        calls.withLock { $0[operation, default: 0] }
    }

    public var path: String { file.path }

    public func size() throws(DiskError) -> UInt64 {
        try admit(.size)
        return try file.size()
    }

    public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(DiskError) -> Int {
        switch verdict(.read, offset, UInt64(buffer.byteCount)) {
        case .pass: return try file.read(into: &buffer, at: offset)
        case .fail(let error, _): throw error
        case .shorten(let count):
            var part = buffer._mutatingExtracting(first: count)
            return try file.read(into: &part, at: offset)
        }
    }

    public func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) {
        if case .fail(let error, let done) = verdict(.write, offset, UInt64(bytes.byteCount)) {
            if done > 0 { try file.write(bytes.extracting(first: Int(done)), at: offset) }
            throw error
        }
        try file.write(bytes, at: offset)
    }

    public func synchronize() throws(DiskError) {
        try admit(.synchronize)
        try file.synchronize()
    }

    public func truncate(to size: UInt64) throws(DiskError) {
        try admit(.truncate, size)
        try file.truncate(to: size)
    }

    public func zero(_ range: Range<UInt64>) throws(DiskError) {
        try admit(.zero, range.lowerBound, UInt64(range.count))
        try file.zero(range)
    }

    public func allocation(at offset: UInt64, limit: UInt64) throws(DiskError) -> HostAllocation {
        try admit(.allocation, offset)
        return try file.allocation(at: offset, limit: limit)
    }

    public func usage() throws(DiskError) -> HostUsage {
        try admit(.usage)
        return try file.usage()
    }

    private func admit(_ operation: Operation, _ offset: UInt64 = 0, _ count: UInt64 = 0) throws(DiskError) {
        if case .fail(let error, _) = verdict(operation, offset, count) { throw error }
    }

    private func verdict(_ operation: Operation, _ offset: UInt64, _ count: UInt64) -> Verdict {
        let number = calls.withLock { calls in
            calls[operation, default: 0] += 1
            return calls[operation, default: 0] - 1
        }
        return judge(Call(operation: operation, offset: offset, count: count, number: number))
    }
}
