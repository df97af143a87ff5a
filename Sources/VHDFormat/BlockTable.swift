internal import BlockDevice

/// The block allocation table: for each block of the disk, the sector of the file where its bitmap begins (formats.md §2.5).
struct BlockTable {
    /// "This block is not allocated."
    static let unallocated = UInt32.max

    private let cache: MetadataCache
    private let firstSector: UInt64
    /// How many entries the disk needs; further ones in the file are ignored.
    let count: UInt64

    init(at offset: UInt64, count: UInt64, cache: MetadataCache) {
        self.cache = cache
        self.count = count
        firstSector = offset / 512
    }

    /// Where a block's bitmap begins, in sectors of the file.
    func entry(_ block: UInt64) throws(DiskError) -> UInt32 {
        try cache.bigEndian32(Int(block % 128), ofSector: firstSector + block / 128)
    }

    /// How many blocks from `block` on are not allocated: looks no further than the table's sector that holds the entry.
    func unallocatedRun(from block: UInt64, limit: UInt64) throws(DiskError) -> UInt64 {
        let sector = try cache.sector(firstSector + block / 128)
        let most = min(limit, 128 - block % 128, count - block)
        var run: UInt64 = 0
        while run < most, sector[bigEndian32: Int(block % 128 + run)] == Self.unallocated { run += 1 }
        return run
    }

    /// Links or unlinks a block, in memory; `MetadataCache.writeBack` brings it to the file.
    func setEntry(_ block: UInt64, _ entry: UInt32) throws(DiskError) {
        try cache.change(firstSector + block / 128) { $0[bigEndian32: Int(block % 128)] = entry }
    }
}
