public import Platform
internal import Synchronization

/// The file of a layer that may be written to: it stops taking writes when they could do harm.
///
/// * After a failed sync nobody knows which of the earlier writes are on the medium, and the next sync would say yes without them; so no
///   later sync may say yes (formats.md §6.3). The host tells an error once, so syncs run one at a time: none says yes beside one that fails.
/// * After the end of an attachment others may use the file: a write that comes late must not reach it.
/// * A file that was cut short while in use has lost bytes; a write behind them would make the file long again, and turn them into zeros.
public final class FailStopFile: HostFile {
    /// Why a file takes no more writes.
    public enum Stop: UInt8, Sendable {
        /// It is in use.
        case none
        /// A sync has failed.
        case syncFailed
        /// It is shorter than its own tables say.
        case cutShort
        /// The attachment has ended.
        case closed
    }

    private let file: any HostFile
    private let reason = Atomic(Stop.none.rawValue)
    private let synchronizing = Locked(())

    /// Watches over a file.
    public init(_ file: any HostFile) {
        self.file = file
    }

    public var path: String { file.path }
    public var canChangeSize: Bool { file.canChangeSize }

    /// Takes no more writes; the first reason stays, but an end comes after all others.
    public func stop(_ reason: Stop) {
        if reason == .closed {
            self.reason.store(reason.rawValue, ordering: .releasing)
        } else {
            _ = self.reason.compareExchange(
                expected: Stop.none.rawValue,
                desired: reason.rawValue,
                ordering: .acquiringAndReleasing
            )
        }
    }

    public func size() throws(DiskError) -> UInt64 {
        try file.size()
    }

    public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(DiskError) -> Int {
        try file.read(into: &buffer, at: offset)
    }

    public func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) {
        try refuseAfterStop()
        try file.write(bytes, at: offset)
    }

    public func synchronize() throws(DiskError) {
        try synchronizing.withLock { (_) throws(DiskError) in
            try refuseAfterStop()
            do throws(DiskError) {
                try file.synchronize()
            } catch {
                stop(.syncFailed)
                throw error
            }
        }
    }

    public func truncate(to size: UInt64) throws(DiskError) {
        try refuseAfterStop()
        try file.truncate(to: size)
    }

    public func zero(_ range: Range<UInt64>) throws(DiskError) {
        try refuseAfterStop()
        try file.zero(range)
    }

    public func allocation(at offset: UInt64, limit: UInt64) throws(DiskError) -> HostAllocation {
        try file.allocation(at: offset, limit: limit)
    }

    public func usage() throws(DiskError) -> HostUsage {
        try file.usage()
    }

    public func source(of range: Range<UInt64>) -> Descriptor? {
        file.source(of: range)
    }

    public var plain: Descriptor? { file.plain }

    /// Fills the whole buffer, or throws: where a map promises bytes, an end of the file is damage and never zeros.
    public func readAll(into buffer: inout MutableRawSpan, at offset: UInt64) throws(DiskError) {
        let wanted = buffer.byteCount
        let found = try file.read(into: &buffer, at: offset)
        guard found == wanted else {
            stop(.cutShort)
            throw DiskError(
                .io,
                "the file ends \(wanted - found) bytes early in a read at offset \(offset): it was cut short while in use",
                path: path
            )
        }
    }

    private func refuseAfterStop() throws(DiskError) {
        switch Stop(rawValue: reason.load(ordering: .acquiring)) {
        case .some(.none): return
        case .closed: throw DiskError(.gone, "the disk has been detached", path: path)
        case .cutShort:
            throw DiskError(.poisoned, "the file was cut short while in use; nothing more is written to it", path: path)
        case .syncFailed, nil:
            throw DiskError(
                .poisoned,
                "an earlier sync of this file failed, so what was written since the last good one may be lost; "
                    + "detach it, check the host's storage, and attach it again",
                path: path
            )
        }
    }
}
