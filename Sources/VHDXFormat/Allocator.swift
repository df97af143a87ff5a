internal import BlockDevice

/// Where new blocks go, and which pages of the file the next flush will log. Used under its lock only.
struct Allocator {
    /// Places of blocks that were freed in this session, or never got linked. Only the same block may use such a place again: a reader
    /// or writer that is still on its way there then meets no other block's bytes.
    private var anchors: [UInt64: UInt64] = [:]
    /// Nil while the table has not been read whole.
    private var used: UsedSpace?
    private var damage: DiskError?
    /// Blocks in the state ZERO whose entry has an offset.
    private(set) var zeroBlocksWithOffset: [UInt64]
    /// The file was so long when it was opened: what lies before that may hold other bytes than zeros.
    private let oldFileSize: UInt64

    /// The pages of the file (in units of 4,096 bytes) with changes that no flush has taken yet.
    var changedPages: Set<UInt64> = []
    /// The pages that a flush is logging just now. If it fails, they are changed pages again.
    var pagesInFlight: Set<UInt64> = []

    /// How many pages the next flush may have to log.
    var pageCount: Int { changedPages.count + pagesInFlight.count }

    init(_ scan: TableScan) {
        used = scan.used
        zeroBlocksWithOffset = scan.zeroBlocksWithOffset
        oldFileSize = scan.fileSize
    }

    /// Reads the table if it was too long for that at attach. Nothing has been written yet.
    mutating func complete(_ opened: OpenedFile) throws(DiskError) {
        guard used == nil else { return }
        // Not again with each write that is tried.
        if let damage { throw damage }
        do throws(DiskError) {
            self = Allocator(try TableScan(of: opened, limit: .max, isWritable: true))
        } catch {
            // A host that failed once may not fail again.
            if error.kind != .io { damage = error }
            throw error
        }
    }

    /// Finds room for a payload block and makes it zero. The block is not linked yet.
    ///
    /// - Returns: the place in the file, a multiple of 1 MiB.
    mutating func allocate(block: UInt64, _ size: UInt64, in file: FailStopFile) throws(DiskError) -> UInt64 {
        if let anchor = anchors[block] {
            try file.zero(anchor..<anchor + size)
            return anchor
        }
        let place = try takeRoom(size, file)
        anchors[block] = place
        try makeZero(place..<place + size, file)
        return place
    }

    /// Finds room for a sector bitmap and makes it zero.
    mutating func allocateBitmap(in file: FailStopFile) throws(DiskError) -> UInt64 {
        let place = try takeRoom(BlockLayout.bitmapBlockSize, file)
        try makeZero(place..<place + BlockLayout.bitmapBlockSize, file)
        return place
    }

    /// The block is linked now: its place is no longer free for it.
    mutating func didLink(_ block: UInt64) {
        anchors[block] = nil
    }

    /// The block has been unlinked from its place.
    mutating func didUnlink(_ block: UInt64, from place: UInt64) {
        anchors[block] = place
    }

    private mutating func takeRoom(_ size: UInt64, _ file: FailStopFile) throws(DiskError) -> UInt64 {
        let fileSize = try file.size()
        if let place = used?.take(size / UsedSpace.unit, fileSize: fileSize) { return place }
        guard file.canChangeSize else {
            throw DiskError(.noSpace, "the device has no room for another block", path: file.path)
        }
        let place = (fileSize + UsedSpace.unit - 1) / UsedSpace.unit * UsedSpace.unit
        guard place + size <= UsedSpace.fileSizeLimit else {
            throw DiskError(.noSpace, "the file would have more than \(UsedSpace.fileSizeLimit) bytes", path: file.path)
        }
        try file.truncate(to: place + size)
        _ = used?.insert(place..<place + size)
        return place
    }

    /// Room that the file has just got is zero by itself.
    private func makeZero(_ range: Range<UInt64>, _ file: FailStopFile) throws(DiskError) {
        guard range.lowerBound < oldFileSize else { return }
        try file.zero(range.clamped(to: 0..<oldFileSize))
    }
}
