internal import BlockDevice
internal import ByteIO

/// Finds the active sequence of a log that is not empty: the entries that must be replayed (formats.md §3.7).
struct LogScan {
    /// The entries, the oldest first; never empty.
    let active: [LogEntry]

    /// No more than so many times the log's length is read for checksums: entries that claim to overlap would take for ever.
    private static let workFactor: UInt64 = 4
    /// No more descriptors than this are kept.
    private static let descriptorLimit: UInt64 = 1 << 17

    init(_ log: LogPlace, guid: GUID, in file: any HostFile) throws(DiskError) {
        let entries = try Self.validEntries(log, guid, file)
        guard let active = Self.activeSequence(entries, log) else {
            throw DiskError(
                .fileCorrupt,
                "log at offset \(log.range.lowerBound): the header says that it must be replayed, but it holds no complete sequence of "
                    + "entries (\(entries.count) valid ones); the last changes to this image are lost",
                path: file.path
            )
        }
        self.active = active
    }

    private static func validEntries(
        _ log: LogPlace,
        _ guid: GUID,
        _ file: any HostFile
    ) throws(DiskError) -> [UInt64: LogEntry] {
        var heads: [(position: UInt64, head: LogEntry.Head)] = []
        let chunk: UInt64 = 1 << 20
        for start in stride(from: 0, to: log.length, by: Int(chunk)) {
            let bytes = try file.readBytes("log", at: log.range.lowerBound + start, count: Int(chunk))
            for offset in stride(from: 0, to: Int(chunk), by: Int(LogPlace.sectorSize)) {
                guard bytes[offset] == UInt8(ascii: "l"), let first = try? bytes.bytes(at: offset, count: 64),
                    let head = LogEntry.Head(first, guid: guid, logLength: log.length)
                else { continue }
                heads.append((start + UInt64(offset), head))
            }
        }
        var entries: [UInt64: LogEntry] = [:]
        var work: UInt64 = 0
        var descriptors: UInt64 = 0
        for (position, head) in heads {
            work += head.length
            descriptors += head.descriptorCount
            guard head.length <= LogEntry.lengthLimit, work <= log.length * workFactor, descriptors <= descriptorLimit
            else {
                throw DiskError(
                    .limit,
                    "log at offset \(log.range.lowerBound): the entry at \(position) claims \(head.length) bytes; entries that long, "
                        + "so many of them, or some that overlap so much, are not read",
                    path: file.path
                )
            }
            let bytes = try read(head.length, at: position, log, file)
            if let entry = LogEntry(bytes, head, at: position, in: log) { entries[position] = entry }
        }
        return entries
    }

    private static func read(
        _ count: UInt64,
        at position: UInt64,
        _ log: LogPlace,
        _ file: any HostFile
    ) throws(DiskError) -> [UInt8] {
        let first = min(count, log.length - position)
        var bytes = try file.readBytes("log entry", at: log.fileOffset(of: position), count: Int(first))
        if count > first {
            bytes += try file.readBytes("log entry", at: log.range.lowerBound, count: Int(count - first))
        }
        return bytes
    }

    /// Of all runs of consecutive entries whose last one has its tail inside the run, the one with the newest last entry.
    private static func activeSequence(_ entries: [UInt64: LogEntry], _ log: LogPlace) -> [LogEntry]? {
        func follower(of entry: LogEntry) -> LogEntry? {
            guard let next = entries[entry.next(in: log)],
                entry.head.sequenceNumber < .max, next.head.sequenceNumber == entry.head.sequenceNumber + 1
            else { return nil }
            return next
        }
        let followers = Set(entries.values.compactMap { follower(of: $0)?.position })
        var best: [LogEntry]?
        for start in entries.values.sorted(by: { $0.position < $1.position })
        where !followers.contains(start.position) {
            var run = [start]
            var length = start.head.length
            while let last = run.last, let next = follower(of: last), length + next.head.length <= log.length {
                run.append(next)
                length += next.head.length
            }
            guard let last = run.last, let tail = run.firstIndex(where: { $0.position == last.head.tail }) else {
                continue
            }
            if let newest = best?.last, newest.head.sequenceNumber >= last.head.sequenceNumber { continue }
            best = Array(run[tail...])
        }
        return best
    }
}
