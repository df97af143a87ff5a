internal import BlockDevice
internal import ByteIO

/// One walk over the block allocation table at open: whether every entry is sound, and what of the file is in use.
struct TableScan {
    /// Entries of ZERO blocks with an offset, which Hyper-V can't read: no more pages than this are put right.
    private static let repairPageLimit = 16
    /// A table of which more than this is stored is not read at attach, but before the first write. Each entry is checked when it is used,
    /// as always.
    static let attachLimit: UInt64 = 32 << 20

    /// What is in use, for who writes; nil when the table was too long to be read.
    private(set) var used: UsedSpace?
    /// Blocks in the state ZERO whose entry has an offset.
    private(set) var zeroBlocksWithOffset: [UInt64] = []
    /// What a user should know.
    private(set) var warnings: [String] = []

    private let path: String
    let fileSize: UInt64
    private let rules: EntryRules
    private let isWritable: Bool
    private var reservedBits = 0
    private var hasAnchors = false
    private var repairPages: Set<UInt64> = []
    private var partialChunks: Set<UInt64> = []
    private var bitmapChunks: Set<UInt64> = []

    private var layout: BlockLayout { rules.layout }

    /// - Parameter limit: read at most so many bytes of the table.
    init(of opened: OpenedFile, limit: UInt64, isWritable: Bool) throws(DiskError) {
        path = opened.file.path
        fileSize = try opened.file.size()
        rules = opened.rules
        self.isWritable = isWritable
        guard fileSize <= UsedSpace.fileSizeLimit else {
            throw DiskError(
                .limit,
                "the file has \(fileSize) bytes, at most \(UsedSpace.fileSizeLimit) can be handled",
                path: path
            )
        }
        var used = UsedSpace(fileSize: fileSize)
        for range in rules.reserved.ranges { _ = used.insert(range) }
        let entries = StoredEntries(
            of: opened.file,
            in: opened.regions.tableRange,
            count: rules.layout.entryCount,
            limit: limit
        )
        let isComplete = try entries.forEach { (index, entry) throws(DiskError) in try check(entry, index, &used) }
        if let chunk = partialChunks.subtracting(bitmapChunks).min(), isComplete {
            throw rules.missingBitmap(chunk)
        }
        guard isComplete else {
            if !isWritable {
                warnings.append(
                    "the block allocation table stores more than \(limit) bytes: it was not searched for overlapping blocks; "
                        + "'vhdfs check' does that"
                )
            }
            return
        }
        if hasAnchors, isWritable { try keepAnchors(entries, &used) }
        if isWritable { self.used = used }
        if reservedBits > 0 {
            warnings.append("reserved bits are set in \(reservedBits) entries of the block allocation table")
        }
    }

    private mutating func check(_ entry: BlockEntry, _ index: UInt64, _ used: inout UsedSpace) throws(DiskError) {
        if entry.hasReservedBits {
            guard !isWritable else { throw rules.damaged(index, entry, "has reserved bits set; attach it readonly") }
            reservedBits += 1
        }
        switch try rules.use(of: entry, index) {
        case .none:
            break
        case .room(let range):
            try checkEnd(range, index, entry)
            guard used.insert(range) else { throw rules.damaged(index, entry, "overlaps another block") }
            switch layout.role(ofEntry: index) {
            case .bitmap(let chunk): bitmapChunks.insert(chunk)
            case .payload(let block):
                if entry.state == .partiallyPresent { partialChunks.insert(layout.chunk(of: block)) }
            }
        case .anchor:
            hasAnchors = true
        case .zeroWithOffset(let block):
            noteZero(block)
        }
    }

    /// An anchor keeps room for its block; one that collides is none.
    private func keepAnchors(_ entries: StoredEntries, _ used: inout UsedSpace) throws(DiskError) {
        try entries.forEach { (index, entry) throws(DiskError) in
            if case .anchor(let range) = try rules.use(of: entry, index), range.upperBound <= fileSize {
                _ = used.insert(range)
            }
        }
    }

    private mutating func noteZero(_ block: UInt64) {
        let page = layout.entryIndex(ofBlock: block) / 512
        guard isWritable, repairPages.contains(page) || repairPages.count < Self.repairPageLimit else { return }
        repairPages.insert(page)
        zeroBlocksWithOffset.append(block)
    }

    private func checkEnd(_ range: Range<UInt64>, _ index: UInt64, _ entry: BlockEntry) throws(DiskError) {
        // A file may be cut to sectors behind its last block.
        guard range.upperBound > (fileSize + 511) & ~511 else { return }
        throw DiskError(
            .truncated,
            "block allocation table: entry \(index) puts a block at offset \(range.lowerBound)–\(range.upperBound), the file ends at "
                + "\(fileSize); the image was cut short or not copied completely",
            path: path
        )
    }
}
