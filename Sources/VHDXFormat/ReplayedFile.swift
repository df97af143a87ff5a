internal import BlockDevice
internal import ByteIO
internal import Platform
internal import Synchronization

/// A file as it will be when its log has been replayed: the changes are laid over every read, and the file itself is not touched.
///
/// `apply` brings them into the file; after that, and for all writes, this is the file.
final class ReplayedFile: HostFile {
    private let file: any HostFile
    private let replay: LogReplay
    private let isApplied = Atomic(false)

    init(_ file: any HostFile, _ replay: LogReplay) {
        self.file = file
        self.replay = replay
    }

    var path: String { file.path }
    var canChangeSize: Bool { file.canChangeSize }

    func size() throws(DiskError) -> UInt64 {
        let size = try file.size()
        return isApplied.load(ordering: .acquiring) ? size : max(size, replay.fileSize)
    }

    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(DiskError) -> Int {
        if isApplied.load(ordering: .acquiring) { return try file.read(into: &buffer, at: offset) }
        let count = try readReplayed(into: &buffer, at: offset)
        // Once applied the log may be written over, and with it the pages that were just read from there.
        if isApplied.load(ordering: .acquiring) { return try file.read(into: &buffer, at: offset) }
        return count
    }

    private func readReplayed(into buffer: inout MutableRawSpan, at offset: UInt64) throws(DiskError) -> Int {
        let stored = try file.read(into: &buffer, at: offset)
        let size = try size()
        guard offset < size else { return stored }
        let count = Int(min(UInt64(buffer.byteCount), size - offset))
        if count > stored { buffer.fillZero(stored..<count) }
        let wanted = offset..<offset + UInt64(count)
        for segment in replay.segments[firstSegment(endingAfter: offset)...] {
            guard segment.range.lowerBound < wanted.upperBound else { break }
            let part = segment.range.clamped(to: wanted)
            let place = Int(part.lowerBound - offset)..<Int(part.upperBound - offset)
            switch segment.content {
            case .zeros: buffer.fillZero(place)
            case .page:
                let page = try bytes(of: segment)
                let start = Int(part.lowerBound - segment.range.lowerBound)
                page.withBytes { buffer.copy($0.extracting(start..<start + place.count), to: place.lowerBound) }
            }
        }
        return max(count, stored)
    }

    private func firstSegment(endingAfter offset: UInt64) -> Int {
        var low = 0
        var high = replay.segments.count
        while low < high {
            let middle = (low + high) / 2
            if replay.segments[middle].range.upperBound > offset { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// The bytes of a segment that holds a page.
    private func bytes(of segment: LogReplay.Segment) throws(DiskError) -> [UInt8] {
        guard case .page(let leading, let sector, let trailing) = segment.content else { return [] }
        var page = try file.readBytes("log data sector", at: sector, count: Int(LogPlace.sectorSize))
        page.store(leading, at: 0, .little)
        page.store(trailing, at: page.count - 4, .little)
        return page
    }

    /// Brings the changes into the file and makes them durable. Done twice, the result is the same.
    ///
    /// - Parameter gate: what stands in front of this file.
    func apply(through gate: FailStopFile) throws(DiskError) {
        // Not once more when the log may hold other entries.
        guard !isApplied.load(ordering: .acquiring) else { return }
        if try file.size() < replay.fileSize { try gate.truncate(to: replay.fileSize) }
        for segment in replay.segments {
            switch segment.content {
            case .zeros: try gate.zero(segment.range)
            case .page: try gate.write(try bytes(of: segment), at: segment.range.lowerBound)
            }
        }
        try gate.synchronize()
    }

    /// The log is empty now: what is in the file counts.
    func didApply() {
        isApplied.store(true, ordering: .releasing)
    }

    func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) {
        try file.write(bytes, at: offset)
    }

    func synchronize() throws(DiskError) {
        try file.synchronize()
    }

    func truncate(to size: UInt64) throws(DiskError) {
        try file.truncate(to: size)
    }

    func zero(_ range: Range<UInt64>) throws(DiskError) {
        try file.zero(range)
    }

    func allocation(at offset: UInt64, limit: UInt64) throws(DiskError) -> HostAllocation {
        guard !isApplied.load(ordering: .acquiring) else { return try file.allocation(at: offset, limit: limit) }
        let index = firstSegment(endingAfter: offset)
        guard index < replay.segments.count, replay.segments[index].range.lowerBound < limit else {
            return try file.allocation(at: offset, limit: limit)
        }
        let segment = replay.segments[index].range
        if segment.contains(offset) { return HostAllocation(isData: true, end: min(segment.upperBound, limit)) }
        return try file.allocation(at: offset, limit: segment.lowerBound)
    }

    func usage() throws(DiskError) -> HostUsage {
        try file.usage()
    }
}
