internal import BlockDevice

/// An entry of the block allocation table (formats.md §3.6).
struct BlockEntry: Sendable, Hashable {
    /// The states of payload blocks; bitmap blocks know only `notPresent` and `fullyPresent`.
    enum State: UInt64, Sendable {
        case notPresent = 0
        case undefined = 1
        case zero = 2
        case unmapped = 3
        case fullyPresent = 6
        case partiallyPresent = 7
    }

    var raw: UInt64

    init(raw: UInt64) {
        self.raw = raw
    }

    init(_ state: State, at offset: UInt64 = 0) {
        raw = state.rawValue | offset
    }

    /// Nil for a number that means nothing.
    var state: State? { State(rawValue: raw & 7) }

    /// Where the block is, in bytes of the file.
    var offset: UInt64 { raw & ~0xF_FFFF }

    var hasReservedBits: Bool { raw & 0xF_FFF8 != 0 }
}

/// The block allocation table, read a sector at a time and never held whole.
struct BlockTable: Sendable {
    private static let entriesPerSector: UInt64 = 64

    private let cache: MetadataCache
    private let layout: BlockLayout
    private let firstSector: UInt64

    init(at offset: UInt64, layout: BlockLayout, cache: MetadataCache) {
        self.cache = cache
        self.layout = layout
        firstSector = offset / UInt64(MetadataSector.byteCount)
    }

    /// Where a sector of the file holds an entry.
    private func place(_ index: UInt64) -> (sector: UInt64, slot: Int) {
        (firstSector + index / Self.entriesPerSector, Int(index % Self.entriesPerSector))
    }

    func entry(ofBlock block: UInt64) throws(DiskError) -> BlockEntry {
        try entry(layout.entryIndex(ofBlock: block))
    }

    func entry(ofBitmap chunk: UInt64) throws(DiskError) -> BlockEntry {
        try entry(layout.entryIndex(ofBitmap: chunk))
    }

    func entry(_ index: UInt64) throws(DiskError) -> BlockEntry {
        let (sector, slot) = place(index)
        return BlockEntry(raw: try cache.littleEndian64(slot, ofSector: sector))
    }

    /// How many blocks from `block` on have the same entry but for its offset: looks no further than the sector of the table.
    func run(from block: UInt64, in state: BlockEntry.State, limit: UInt64) throws(DiskError) -> UInt64 {
        let (number, slot) = place(layout.entryIndex(ofBlock: block))
        let sector = try cache.sector(number)
        let most = min(limit, Self.entriesPerSector - UInt64(slot), layout.blocksInChunk(from: block))
        var run: UInt64 = 0
        while run < most, sector[littleEndian64: slot + Int(run)] & 7 == state.rawValue { run += 1 }
        return run
    }

    /// Changes an entry in memory. Returns the page of the file that changes with it.
    func setEntry(_ entry: BlockEntry, ofBlock block: UInt64) throws(DiskError) -> UInt64 {
        try set(entry, layout.entryIndex(ofBlock: block))
    }

    func setEntry(_ entry: BlockEntry, ofBitmap chunk: UInt64) throws(DiskError) -> UInt64 {
        try set(entry, layout.entryIndex(ofBitmap: chunk))
    }

    private func set(_ entry: BlockEntry, _ index: UInt64) throws(DiskError) -> UInt64 {
        let (sector, slot) = place(index)
        try cache.change(sector) { $0[littleEndian64: slot] = entry.raw }
        return sector / (LogPlace.sectorSize / UInt64(MetadataSector.byteCount))
    }
}
