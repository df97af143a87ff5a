internal import ByteIO

extension VHDXBuilder {
    /// An entry of the log (§3.7), right or damaged.
    public struct LogEntry: Sendable {
        /// What replaying an entry does.
        public enum Descriptor: Sendable {
            /// Puts a page of 4 KiB to an offset of the file.
            case data(offset: UInt64, page: [UInt8])
            /// Makes a range of the file zero.
            case zero(offset: UInt64, length: UInt64)
        }

        /// The sequence number.
        public var sequence: UInt64
        /// What it changes.
        public var descriptors: [Descriptor]
        /// Where it is, from the log's start; by default behind the one before.
        public var position: UInt64?
        /// The oldest entry still needed, from the log's start; by default the first of the list.
        public var tail: UInt32?
        /// By default the header's.
        public var guid: [UInt8]?
        /// The file's length when it was written; by default what it is.
        public var flushedFileOffset: UInt64?
        /// The length that the file must have after it; by default what it is.
        public var lastFileOffset: UInt64?
        /// How many sectors of 4 KiB reached the file; nil: all.
        public var writtenSectors: Int?
        /// Changes once it is built.
        public var edits: [(offset: Int, bytes: [UInt8], fixesChecksum: Bool)] = []

        /// Makes an entry.
        public init(_ sequence: UInt64, _ descriptors: [Descriptor] = [], position: UInt64? = nil, tail: UInt32? = nil)
        {
            self.sequence = sequence
            self.descriptors = descriptors
            self.position = position
            self.tail = tail
        }

        /// Changes bytes once it is built.
        public mutating func edit(at offset: Int, _ bytes: [UInt8], fixesChecksum: Bool = true) {
            edits.append((offset, bytes, fixesChecksum))
        }

        /// How many bytes it takes in the log.
        public var length: UInt64 { roundUp(64 + 32 * UInt64(descriptors.count), 4096) + 4096 * UInt64(pages.count) }

        var pages: [[UInt8]] {
            descriptors.compactMap { if case .data(_, let page) = $0 { page } else { nil } }
        }
    }

    /// Parts of a sound image that are right only once the log was replayed.
    public struct Hiding: Sendable {
        /// The parts.
        public enum Part: Sendable, CaseIterable {
            case regionTables, metadata, table, bitmaps
        }

        /// Which parts: their pages are zeros in their places, and right in the log.
        public var parts: Set<Part>
        /// How many pages an entry has at most.
        public var pagesPerEntry = 50
        /// Where the first entry is, from the log's start: entries near the end wrap around it.
        public var position: UInt64 = 0
        /// The sequence number of the first entry.
        public var sequence: UInt64 = 1
        /// How many empty pages of the table hold nonsense, which entries with zero descriptors remove.
        public var zeroedPages = 0
        /// Whether each page is in the log twice, first a wrong one: only the order of the entries is right.
        public var hasOlderPages = false

        /// Hides these parts.
        public init(_ parts: Set<Part>) {
            self.parts = parts
        }
    }

    /// Moves parts of the image into the log: the disk is right only after a replay.
    public mutating func hide(_ parts: Hiding.Part..., change: (inout Hiding) -> Void = { _ in }) {
        var hiding = Hiding(Set(parts))
        change(&hiding)
        self.hiding = hiding
        if logGUID.allSatisfy({ $0 == 0 }) { logGUID = (0x40...0x4F).map { $0 } }
    }

    /// Writes the log into its ring.
    public func putLog(into built: inout BuiltVHDX) {
        let entries = logEntries + hiddenEntries(takenFrom: &built)
        var position = entries.first?.position ?? 0
        let tail = position
        for entry in entries {
            position = (entry.position ?? position) % UInt64(logLength)
            let bytes = self.bytes(of: entry, tail: UInt32(tail), fileLength: built.content.count)
            for sector in 0..<min(entry.writtenSectors ?? .max, bytes.count / 4096) {
                let place = (position + UInt64(sector) * 4096) % UInt64(logLength)
                built.content.store(Array(bytes[sector * 4096..<(sector + 1) * 4096]), at: logOffset + place)
            }
            built.logPositions.append(position)
            position += entry.length
        }
    }

    /// An entry: its descriptors, then its pages, of which the first 8 and the last 4 bytes are in the descriptor.
    private func bytes(of entry: LogEntry, tail: UInt32, fileLength: UInt64) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Int(entry.length))
        bytes.store(Array("loge".utf8), at: 0)
        bytes.store(UInt32(bytes.count), at: 8, .little)
        bytes.store(entry.tail ?? tail, at: 12, .little)
        bytes.store(entry.sequence, at: 16, .little)
        bytes.store(UInt32(entry.descriptors.count), at: 24, .little)
        bytes.store(entry.guid ?? logGUID, at: 32)
        bytes.store(entry.flushedFileOffset ?? fileLength, at: 48, .little)
        bytes.store(entry.lastFileOffset ?? fileLength, at: 56, .little)
        var sector = Int(roundUp(64 + 32 * UInt64(entry.descriptors.count), 4096))
        for (index, descriptor) in entry.descriptors.enumerated() {
            let start = 64 + index * 32
            switch descriptor {
            case .data(let offset, let page):
                bytes.store(Array("desc".utf8) + page[4092...] + page[..<8] + littleEndian(offset), at: start)
                let high = littleEndian(UInt32(truncatingIfNeeded: entry.sequence >> 32))
                let low = littleEndian(UInt32(truncatingIfNeeded: entry.sequence))
                bytes.store(Array("data".utf8) + high + page[8..<4092] + low, at: sector)
                sector += 4096
            case .zero(let offset, let length):
                bytes.store(Array("zero".utf8) + [0, 0, 0, 0] + littleEndian(length) + littleEndian(offset), at: start)
            }
            bytes.store(entry.sequence, at: start + 24, .little)
        }
        for edit in entry.edits where edit.fixesChecksum { bytes.store(edit.bytes, at: edit.offset) }
        bytes.store(UInt32(0), at: 4, .little)
        bytes.store(crc32C(bytes), at: 4, .little)
        for edit in entry.edits where !edit.fixesChecksum { bytes.store(edit.bytes, at: edit.offset) }
        return bytes
    }

    /// Takes the pages of `hiding` out of the file; gives the entries that bring them back.
    private func hiddenEntries(takenFrom built: inout BuiltVHDX) -> [LogEntry] {
        guard let hiding else { return [] }
        let ranges = hiddenRanges(hiding, built)
        var descriptors: [LogEntry.Descriptor] = []
        built.content.forEachStoredPage { offset, page in
            guard ranges.contains(where: { $0.contains(offset) }), page.contains(where: { $0 != 0 }) else { return }
            descriptors.append(.data(offset: offset, page: page))
        }
        for descriptor in descriptors {
            if case .data(let offset, _) = descriptor { built.content.zero(offset..<offset + 4096) }
        }
        if hiding.hasOlderPages {
            let wrong = [UInt8](repeating: staleByte, count: 4096)
            descriptors =
                descriptors.map { descriptor in
                    guard case .data(let offset, _) = descriptor else { return descriptor }
                    return .data(offset: offset, page: wrong)
                } + descriptors
        }
        // Behind the entries in use the region is free, so that any table has such pages.
        let firstFree = roundUp(tableOffset + entryCount * 8, 4096)
        let isFree = { (offset: UInt64) in offset + 4096 <= tableOffset + UInt64(usedTableLength) }
        let zeroed = (0..<UInt64(hiding.zeroedPages)).map { firstFree + $0 * 4096 }.filter(isFree)
        for offset in zeroed {
            built.content.store([UInt8](repeating: staleByte, count: 4096), at: offset)
            descriptors.append(.zero(offset: offset, length: 4096))
        }
        var entries: [LogEntry] = []
        for start in stride(from: 0, to: max(1, descriptors.count), by: hiding.pagesPerEntry) {
            let part = descriptors[start..<min(descriptors.count, start + hiding.pagesPerEntry)]
            entries.append(LogEntry(hiding.sequence + UInt64(entries.count), Array(part)))
        }
        if logEntries.isEmpty { entries[0].position = hiding.position }
        return entries
    }

    private func hiddenRanges(_ hiding: Hiding, _ built: BuiltVHDX) -> [Range<UInt64>] {
        hiding.parts.flatMap { (part) -> [Range<UInt64>] in
            switch part {
            case .regionTables: return [192 << 10..<320 << 10]
            case .metadata: return [metadataOffset..<metadataOffset + UInt64(metadataLength)]
            case .table: return [tableOffset..<tableOffset + UInt64(usedTableLength)]
            case .bitmaps: return built.bitmapOffsets.values.map { $0..<$0 + Self.mib }
            }
        }
    }
}
