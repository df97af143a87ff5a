internal import TestSupport

/// What a row of bytes says of a log: its entries, with sound checksums unless it says otherwise. Every row of bytes says something.
///
/// An entry is a byte of its peculiarities, what these need, the number of its descriptors, and those: what is done, to which page, and how.
struct LogScript {
    private var bytes: ArraySlice<UInt8>
    /// As many fit into the log that is fuzzed, and a plain reader is slow with more.
    private static let entryLimit = 32

    init(_ bytes: [UInt8]) {
        self.bytes = bytes[...]
    }

    /// The entries, one behind the other unless they say otherwise.
    mutating func entries() -> [VHDXBuilder.LogEntry] {
        var entries: [VHDXBuilder.LogEntry] = []
        var number = UInt64(bytes.first ?? 0) << 28 | 1
        var position: UInt64 = UInt64(next()) << 12
        while !bytes.isEmpty, entries.count < Self.entryLimit {
            let entry = entry(number, position)
            position = (entry.position ?? position) + entry.length
            number = entry.sequence &+ 1
            entries.append(entry)
        }
        return entries
    }

    private mutating func entry(_ number: UInt64, _ position: UInt64) -> VHDXBuilder.LogEntry {
        let peculiarities = next()
        func has(_ bit: UInt8) -> Bool { peculiarities & 1 << bit != 0 }
        var entry = VHDXBuilder.LogEntry(number, position: position)
        if has(0) { entry.position = UInt64(next()) << 12 }
        // The tail: the entry itself, or any place.
        entry.tail = UInt32(truncatingIfNeeded: (entry.position ?? 0) % (1 << 20))
        if has(1) { entry.tail = UInt32(next()) << 12 }
        if has(2) { entry.sequence = [number &+ UInt64(next()), .max, 0, number &- 2][Int(next() % 4)] }
        if has(3) { entry.flushedFileOffset = size() }
        if has(4) { entry.lastFileOffset = size() }
        if has(5) { entry.guid = (0..<16).map { UInt8($0) } }
        if has(6) {
            let fixesChecksum = next() & 1 == 0
            entry.edit(at: Int(next()) | Int(next() & 0x3F) << 8, [next(), next()], fixesChecksum: fixesChecksum)
        }
        if has(7) { entry.writtenSectors = Int(next() % 4) }
        let count = next()
        // A few, or so many that they need sectors of their own.
        for _ in 0..<(count & 0x80 == 0 ? Int(count % 8) : Int(count & 0x7F) * 3) {
            guard !bytes.isEmpty else { break }
            entry.descriptors.append(descriptor(isShort: count & 0x80 != 0))
        }
        entry.edits = entry.edits.filter { $0.offset + $0.bytes.count <= Int(entry.length) }
        return entry
    }

    private mutating func descriptor(isShort: Bool) -> VHDXBuilder.LogEntry.Descriptor {
        let kind = next()
        let page = UInt64(next()) | UInt64(kind & 7) << 8
        // Of the long lists each names a page only.
        if isShort { return .zero(offset: page << 12, length: 4096) }
        let offset = [page << 12, page << 12, page << 12, (page << 12) + 512, 1 << 63 | page << 12][Int(kind >> 4) % 5]
        guard kind & 8 == 0 else {
            let length = UInt64(next())
            return .zero(offset: offset, length: [length << 12, length << 20, .max << 12, length][Int(kind >> 6)])
        }
        let fill = next()
        return .data(offset: offset, page: (0..<4096).map { UInt8(truncatingIfNeeded: $0 >> 4) ^ fill })
    }

    /// The length of a file.
    private mutating func size() -> UInt64 {
        let kind = next()
        return [UInt64(next()) << 16, UInt64(next()) << 48, .max, 0][Int(kind % 4)]
    }

    private mutating func next() -> UInt8 { bytes.popFirst() ?? 0 }
}
