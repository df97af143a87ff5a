internal import BlockDevice

/// Finds two blocks that share bytes of the file, in one pass over the entries for most images.
///
/// All blocks take the same number of sectors, L, so two blocks that begin in the same L sectors overlap, and else only neighbours
/// can. Images with so many small blocks that the buckets would take too much memory are done in several windows.
struct OverlapCheck {
    private static let windowLimit: UInt64 = 1 << 22
    private static let windowsLimit: UInt64 = 16

    private let blockSectors: UInt64
    private let bucketCount: UInt64
    private let path: String
    private var windowStart: UInt64 = 0
    /// First sector of the block that begins in a bucket, plus one; 0 for none. The first and the last belong to the neighbour windows.
    private var buckets: [UInt32]

    init(layout: BlockLayout, fileLimit: UInt64, path: String) throws(DiskError) {
        blockSectors = layout.storedSize / 512
        self.path = path
        // A block begins below 2^32 sectors, wherever the file ends.
        bucketCount = min(fileLimit / 512, UInt64(UInt32.max)) / blockSectors + 1
        guard bucketCount <= Self.windowLimit * Self.windowsLimit else {
            throw DiskError(
                .limit,
                "the file has room for \(bucketCount) blocks of \(layout.blockSize) bytes; more than "
                    + "\(Self.windowLimit * Self.windowsLimit) can't be checked for overlaps",
                path: path
            )
        }
        buckets = Array(repeating: 0, count: Int(min(bucketCount, Self.windowLimit)) + 2)
    }

    /// Goes on to the next part of the file; false when there is none.
    mutating func nextWindow() -> Bool {
        windowStart += UInt64(buckets.count - 2)
        guard windowStart < bucketCount else { return false }
        for i in buckets.indices { buckets[i] = 0 }
        return true
    }

    /// Places for further blocks between those that were added: the file's space that earlier sessions have freed. Only where one pass
    /// was enough, and at most `limit`.
    ///
    /// - Parameters:
    ///   - start: where the first block may begin, in bytes.
    ///   - place: the first place at or behind a byte where a block may begin.
    func gaps(from start: UInt64, limit: Int, place: (UInt64) -> UInt64) -> [UInt32] {
        guard bucketCount <= UInt64(buckets.count - 2) else { return [] }
        var places: [UInt32] = []
        var free = start
        for case let entry in buckets where entry != 0 {
            let next = UInt64(entry - 1) * 512
            while places.count < limit, place(free) + blockSectors * 512 <= next {
                places.append(UInt32(place(free) / 512))
                free = place(free) + blockSectors * 512
            }
            free = max(free, next + blockSectors * 512)
        }
        return places
    }

    /// Adds a block; throws when it shares bytes with an earlier one.
    mutating func insert(_ entry: UInt32, block: UInt64) throws(DiskError) {
        let bucket = UInt64(entry) / blockSectors + 1
        guard bucket >= windowStart, bucket - windowStart < UInt64(buckets.count) else { return }
        let index = Int(bucket - windowStart)
        let below = index > 0 ? UInt64(buckets[index - 1]) : 0
        let above = index + 1 < buckets.count ? UInt64(buckets[index + 1]) : 0
        let start = UInt64(entry) + 1
        if buckets[index] != 0 || (below != 0 && below + blockSectors > start)
            || (above != 0 && start + blockSectors > above)
        {
            throw DiskError(
                .allocationTableCorrupt,
                "block allocation table: the block of entry \(block), at sector \(entry), overlaps another one",
                path: path
            )
        }
        buckets[index] = UInt32(start)
    }
}
