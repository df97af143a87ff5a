internal import Synchronization

/// A file that takes no more writes once a sync of it has failed.
///
/// After a failed `fsync` nobody knows which of the earlier writes are on the medium, and the next one would say yes without them;
/// so no later sync may say yes (formats.md §6.3).
public final class FailStopFile: HostFile {
    private let file: any HostFile
    private let hasFailed = Atomic(false)

    /// Watches over a file.
    public init(_ file: any HostFile) {
        self.file = file
    }

    public var path: String { file.path }

    public func size() throws(DiskError) -> UInt64 {
        try file.size()
    }

    public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(DiskError) -> Int {
        try file.read(into: &buffer, at: offset)
    }

    public func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) {
        try refuseAfterFailure()
        try file.write(bytes, at: offset)
    }

    public func synchronize() throws(DiskError) {
        try refuseAfterFailure()
        do {
            try file.synchronize()
        } catch {
            hasFailed.store(true, ordering: .releasing)
            throw error
        }
    }

    public func truncate(to size: UInt64) throws(DiskError) {
        try refuseAfterFailure()
        try file.truncate(to: size)
    }

    public func zero(_ range: Range<UInt64>) throws(DiskError) {
        try refuseAfterFailure()
        try file.zero(range)
    }

    public func allocation(at offset: UInt64, limit: UInt64) throws(DiskError) -> HostAllocation {
        try file.allocation(at: offset, limit: limit)
    }

    public func usage() throws(DiskError) -> HostUsage {
        try file.usage()
    }

    private func refuseAfterFailure() throws(DiskError) {
        guard hasFailed.load(ordering: .acquiring) else { return }
        throw DiskError(
            .poisoned,
            "an earlier sync of this file failed, so what was written since the last good one may be lost; "
                + "detach it, check the host's storage, and attach it again",
            path: path
        )
    }
}
