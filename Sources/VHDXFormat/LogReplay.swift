internal import BlockDevice

/// What a log that is not empty changes in the file, worked out in memory (formats.md §3.7).
struct LogReplay: Sendable {
    /// A part of the file that the log replaces.
    struct Segment: Sendable {
        let range: Range<UInt64>
        /// For a page, all 4,096 bytes of it are in `range`.
        let content: LogEntry.Operation.Content
    }

    /// How many entries were replayed.
    let entryCount: Int
    /// The parts, in the order of the file; none overlaps another.
    let segments: [Segment]
    /// How long the file must be afterwards.
    let fileSize: UInt64

    init(_ log: LogPlace, _ header: Header, in file: any HostFile) throws(DiskError) {
        let active = try LogScan(log, guid: header.logGUID, in: file).active
        let size = try file.size()
        let flushed = active.last?.flushedFileOffset ?? 0
        guard size >= flushed else {
            throw DiskError(
                .truncated,
                "log: when it was written the file had at least \(flushed) bytes, now it has \(size); "
                    + "the image was cut short or not copied completely",
                path: file.path
            )
        }
        let wanted = active.map(\.lastFileOffset).max() ?? 0
        guard wanted <= UsedSpace.fileSizeLimit else {
            throw DiskError(.limit, "log: it asks for a file of \(wanted) bytes", path: file.path)
        }
        fileSize = max(size, wanted)
        entryCount = active.count
        let operations = active.flatMap(\.operations).filter { $0.count > 0 }
        for operation in operations { try Self.check(operation, log, fileSize, file) }
        segments = Self.flatten(operations)
    }

    private static func check(
        _ operation: LogEntry.Operation,
        _ log: LogPlace,
        _ fileSize: UInt64,
        _ file: any HostFile
    ) throws(DiskError) {
        let (end, overflow) = operation.offset.addingReportingOverflow(operation.count)
        // Below are the file identifier and the headers, which never go through the log.
        if !overflow, operation.offset >= RegionTable.offsets[0], end <= fileSize,
            end <= log.range.lowerBound || operation.offset >= log.range.upperBound
        {
            return
        }
        throw DiskError(
            .fileCorrupt,
            "log: an entry changes \(operation.count) bytes at offset \(operation.offset), which is not between the headers and the "
                + "end of the file at \(fileSize), or in the log itself",
            path: file.path
        )
    }

    /// Each byte has the content that was given to it last: the newest operation takes its range, an older one what is left.
    private static func flatten(_ operations: [LogEntry.Operation]) -> [Segment] {
        let bounds = Set(operations.flatMap { [$0.offset, $0.offset + $0.count] }).sorted()
        let place = Dictionary(uniqueKeysWithValues: zip(bounds, bounds.indices))
        var content = [LogEntry.Operation.Content?](repeating: nil, count: bounds.count)
        // For each piece the next one that has no content yet, found by way of others that knew it earlier.
        var free = Array(bounds.indices) + [bounds.count]
        func nextFree(_ index: Int) -> Int {
            var root = index
            while free[root] != root { root = free[root] }
            var step = index
            while free[step] != root { (step, free[step]) = (free[step], root) }
            return root
        }
        for operation in operations.reversed() {
            guard let start = place[operation.offset], let end = place[operation.offset + operation.count] else {
                continue
            }
            var piece = nextFree(start)
            while piece < end {
                content[piece] = operation.content
                free[piece] = piece + 1
                piece = nextFree(piece + 1)
            }
        }
        return bounds.indices.dropLast().compactMap { index in
            content[index].map { Segment(range: bounds[index]..<bounds[index + 1], content: $0) }
        }
    }
}
