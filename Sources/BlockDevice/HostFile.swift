internal import ByteIO
public import Platform

/// The bytes of a file on the host. All image I/O goes through it, so that a test can fail, shorten, delay, record and cut every
/// read, write and sync.
///
/// Offsets and counts are bytes. Calls may come from many threads at once.
public protocol HostFile: AnyObject, Sendable {
    /// The path, for messages.
    var path: String { get }

    /// Whether the file can be made longer and shorter; a block device can't.
    var canChangeSize: Bool { get }

    /// The length of the file now.
    func size() throws(DiskError) -> UInt64

    /// Fills `buffer` from `offset` on. Returns how many bytes there were: fewer than asked only at the end of the file.
    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(DiskError) -> Int

    /// Writes all of `bytes` at `offset`, or throws; a failed write may have changed any part of the range.
    func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError)

    /// Makes everything that was written, and the length, durable (`fdatasync`).
    func synchronize() throws(DiskError)

    /// Sets the length.
    func truncate(to size: UInt64) throws(DiskError)

    /// Makes a range read as zeros, and gives its space back if the host can. Never changes the length.
    func zero(_ range: Range<UInt64>) throws(DiskError)

    /// What the host keeps at `offset`, and how far that reaches (at most to `limit`). All data where the host can't tell.
    func allocation(at offset: UInt64, limit: UInt64) throws(DiskError) -> HostAllocation

    /// Space used, and the time of the last change.
    func usage() throws(DiskError) -> HostUsage

    /// The descriptor of the host to read a range from, which is in memory; nil when it would have to be waited for, is not all there, or is not
    /// just what the host's file holds: then `read` it.
    ///
    /// It is open as long as this file is.
    func source(of range: Range<UInt64>) -> Descriptor?

    /// The file on the host, opened for reading once more and without locks, if what it holds is just what `read` tells.
    var plain: Descriptor? { get }
}

/// A run of a host file that is either stored or a hole.
public struct HostAllocation: Sendable, Hashable {
    /// Whether bytes are stored there; a hole reads as zeros.
    public var isData: Bool
    /// Where the run ends.
    public var end: UInt64

    /// Makes a run.
    public init(isData: Bool, end: UInt64) {
        self.isData = isData
        self.end = end
    }
}

/// What `stat` tells about a host file's use.
public struct HostUsage: Sendable, Hashable {
    /// Bytes of storage that the file uses.
    public var allocatedBytes: UInt64
    /// Seconds since 1970 of the last change.
    public var modifiedSeconds: Int64
    /// Nanoseconds within that second.
    public var modifiedNanoseconds: Int64

    /// Makes the numbers.
    public init(allocatedBytes: UInt64, modifiedSeconds: Int64, modifiedNanoseconds: Int64) {
        self.allocatedBytes = allocatedBytes
        self.modifiedSeconds = modifiedSeconds
        self.modifiedNanoseconds = modifiedNanoseconds
    }
}

extension HostFile {
    /// Files can; block devices say otherwise.
    public var canChangeSize: Bool { true }

    /// Only the host's own files have one.
    public func source(of range: Range<UInt64>) -> Descriptor? { nil }
    /// Only the host's own files are.
    public var plain: Descriptor? { nil }

    /// Reads exactly `count` bytes for a structure, or says that the file is too short for it.
    public func readBytes(
        _ structure: @autoclosure () -> String,
        at offset: UInt64,
        count: Int
    ) throws(DiskError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let found = try bytes.withMutableBytes { (span) throws(DiskError) in try read(into: &span, at: offset) }
        guard found == count else {
            throw DiskError(
                .truncated,
                "\(structure()) at offset \(offset) needs \(count) bytes, the file has \(found) there; "
                    + "the image was cut short or not copied completely",
                path: path
            )
        }
        return bytes
    }

    /// Writes an array.
    public func write(_ bytes: [UInt8], at offset: UInt64) throws(DiskError) {
        try bytes.withBytes { (span) throws(DiskError) in try write(span, at: offset) }
    }
}
