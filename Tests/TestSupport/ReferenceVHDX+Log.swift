internal import ByteIO

extension ReferenceVHDX {
    /// The file as its log leaves it, and how many entries were replayed; nothing behind the log is looked at.
    public static func replayed(_ file: SparseBytes) throws -> (content: SparseBytes, entries: Int) {
        let (content, entries) = try ReferenceLog(file, ReferenceHeader.current(of: file)).replayed()
        return (content, entries)
    }

    /// Whether two sequences of the log end with the same, newest number: nothing tells which of them counts.
    public static func hasTie(_ file: SparseBytes) throws -> Bool {
        try ReferenceLog(file, ReferenceHeader.current(of: file)).hasTie
    }
}

/// The log of a VHDX file (§3.7).
struct ReferenceLog {
    private struct Entry {
        let position: UInt64
        let length: UInt64
        let tail: UInt64
        let sequence: UInt64
        let flushedFileOffset: UInt64
        let lastFileOffset: UInt64
        /// What it puts where; nil bytes are zeros.
        let changes: [(range: Range<UInt64>, page: [UInt8]?)]
    }

    private let file: SparseBytes
    private let header: ReferenceHeader
    private var log: Range<UInt64> { header.logRange }
    private var length: UInt64 { log.upperBound - log.lowerBound }

    init(_ file: SparseBytes, _ header: ReferenceHeader) {
        self.file = file
        self.header = header
    }

    /// The file after the active sequence was replayed, and how many entries that has.
    func replayed() throws -> (SparseBytes, Int) {
        let entries = active()
        guard let head = entries.last else { throw TestSupportError("the log has no active sequence") }
        try ReferenceVHDX.require(
            file.count >= head.flushedFileOffset,
            "the file has \(file.count) bytes of \(head.flushedFileOffset) flushed ones"
        )
        var content = file
        // Entry by entry the file grows, and no entry makes it shorter.
        let wanted = entries.map(\.lastFileOffset).max() ?? 0
        if wanted > content.count { content.resize(to: wanted) }
        for entry in entries {
            // No bytes are nowhere.
            for change in entry.changes where !change.range.isEmpty {
                try ReferenceVHDX.require(
                    change.range.lowerBound >= 192 << 10 && change.range.upperBound <= content.count
                        && !change.range.overlaps(log),
                    "the log writes to \(change.range)"
                )
                if let page = change.page {
                    content.store(page, at: change.range.lowerBound)
                } else {
                    content.zero(change.range)
                }
            }
        }
        return (content, entries.count)
    }

    /// The sequence that ends with the greatest number, from its tail on.
    private func active() -> [Entry] {
        var best: [Entry] = []
        for run in usable() where run.last?.sequence ?? 0 > best.last?.sequence ?? 0 { best = run }
        return best
    }

    fileprivate var hasTie: Bool {
        let ends = usable().compactMap(\.last)
        let newest = ends.map(\.sequence).max()
        return Set(ends.filter { $0.sequence == newest }.map(\.position)).count > 1
    }

    /// All sequences of which the last entry's tail is one of them, from that on.
    private func usable() -> [[Entry]] {
        var all: [UInt64: Entry] = [:]
        for position in stride(from: 0, to: length, by: 4096) {
            if let entry = try? entry(at: position) { all[position] = entry }
        }
        var usable: [[Entry]] = []
        for start in all.keys.sorted() {
            var run: [Entry] = []
            var position = start
            while let entry = all[position], run.isEmpty || entry.sequence == (run.last?.sequence ?? 0) &+ 1,
                run.reduce(entry.length, { $0 + $1.length }) <= length
            {
                run.append(entry)
                position = (position + entry.length) % length
            }
            guard let tail = run.firstIndex(where: { $0.position == run.last?.tail }) else { continue }
            usable.append(Array(run[tail...]))
        }
        return usable
    }

    /// The bytes of the ring from a position on.
    private func bytes(at position: UInt64, count: UInt64) -> [UInt8] {
        let first = min(count, length - position)
        let start = log.lowerBound + position
        return file[start..<start + first] + file[log.lowerBound..<log.lowerBound + count - first]
    }

    private func entry(at position: UInt64) throws -> Entry {
        let start = bytes(at: position, count: 64)
        let count = UInt64(try start.load(UInt32.self, at: 8, .little))
        let isSound = count % 4096 == 0 && count >= 4096 && count < length
        try ReferenceVHDX.require(start.starts(with: Array("loge".utf8)) && isSound, "no entry")
        let bytes = bytes(at: position, count: count)
        let sequence = try bytes.load(UInt64.self, at: 16, .little)
        let tail = UInt64(try bytes.load(UInt32.self, at: 12, .little))
        let isOurs = try hasGoodCRC(bytes) && bytes.bytes(at: 32, count: 16) == header.logGUID
        try ReferenceVHDX.require(isOurs && sequence > 0 && tail % 4096 == 0 && tail < length, "no entry of this log")
        return Entry(
            position: position,
            length: count,
            tail: tail,
            sequence: sequence,
            flushedFileOffset: try bytes.load(at: 48, .little),
            lastFileOffset: try bytes.load(at: 56, .little),
            changes: try changes(in: bytes, sequence)
        )
    }

    private func changes(in bytes: [UInt8], _ sequence: UInt64) throws -> [(range: Range<UInt64>, page: [UInt8]?)] {
        let descriptors = Int(try bytes.load(UInt32.self, at: 24, .little))
        var sector = Int(roundUp(64 + 32 * UInt64(descriptors), 4096))
        var changes: [(range: Range<UInt64>, page: [UInt8]?)] = []
        for index in 0..<descriptors {
            let start = 64 + 32 * index
            let signature = try bytes.bytes(at: start, count: 4)
            // An entry that is whole and points where no file ends is no torn one: it counts, and the replay refuses it.
            let offset = min(try bytes.load(UInt64.self, at: start + 16, .little), 1 << 62)
            let isRight = try bytes.load(UInt64.self, at: start + 24, .little) == sequence
            try ReferenceVHDX.require(isRight && offset % 4096 == 0, "descriptor \(index)")
            if signature == Array("zero".utf8) {
                let count = min(try bytes.load(UInt64.self, at: start + 8, .little), 1 << 62)
                try ReferenceVHDX.require(count % 4096 == 0, "\(count) zeros")
                changes.append((offset..<offset + count, nil))
                continue
            }
            let high = UInt64(try bytes.load(UInt32.self, at: sector + 4, .little))
            let low = UInt64(try bytes.load(UInt32.self, at: sector + 4092, .little))
            let isData = try bytes.bytes(at: sector, count: 4) == Array("data".utf8) && high << 32 | low == sequence
            try ReferenceVHDX.require(signature == Array("desc".utf8) && isData, "descriptor \(index)")
            let page =
                try bytes.bytes(at: start + 8, count: 8) + bytes.bytes(at: sector + 8, count: 4084)
                + bytes.bytes(at: start + 4, count: 4)
            changes.append((offset..<offset + 4096, page))
            sector += 4096
        }
        try ReferenceVHDX.require(sector == bytes.count, "\(bytes.count) bytes, not \(sector)")
        return changes
    }
}
