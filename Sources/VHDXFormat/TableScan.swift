internal import BlockDevice
internal import ByteIO

/// One walk over the block allocation table at open: whether every entry is sound, and what of the file is in use.
///
/// Only what the host really stores of the table is read: of a table that is mostly a hole, as in a large empty image, next to nothing.
struct TableScan {
    /// Entries of ZERO blocks with an offset, which Hyper-V can't read: no more pages than this are put right.
    private static let repairPageLimit = 16
    /// Without writing, a longer table than this is not read at attach; each entry is checked when it is used, as always.
    static let readOnlyLimit: UInt64 = 32 << 20
    private static let chunk: UInt64 = 1 << 20

    /// What is in use; nil when the table was too long to be read.
    private(set) var used: UsedSpace?
    /// Blocks in the state ZERO whose entry has an offset.
    private(set) var zeroBlocksWithOffset: [UInt64] = []
    /// What a user should know.
    private(set) var warnings: [String] = []

    private let file: any HostFile
    private let fileSize: UInt64
    private let rules: EntryRules
    private let tableOffset: UInt64
    private let isWritable: Bool
    private var reservedBits = 0
    private var hasAnchors = false
    private var partialChunks: Set<UInt64> = []
    private var bitmapChunks: Set<UInt64> = []

    private var layout: BlockLayout { rules.layout }

    init(
        of file: any HostFile,
        tableOffset: UInt64,
        rules: EntryRules,
        fileSize: UInt64,
        isWritable: Bool
    ) throws(DiskError) {
        self.file = file
        self.fileSize = fileSize
        self.rules = rules
        self.tableOffset = tableOffset
        self.isWritable = isWritable
        guard fileSize <= UsedSpace.fileSizeLimit else {
            throw DiskError(
                .limit,
                "the file has \(fileSize) bytes, at most \(UsedSpace.fileSizeLimit) can be handled",
                path: file.path
            )
        }
        var used = UsedSpace(fileSize: fileSize)
        for range in rules.reserved.ranges { _ = used.insert(range) }
        let isComplete = try forEachStored { (index, entry) throws(DiskError) in try check(entry, index, &used) }
        if let chunk = partialChunks.subtracting(bitmapChunks).min(), isComplete {
            throw rules.missingBitmap(chunk)
        }
        guard isComplete else {
            warnings.append(
                "the block allocation table stores more than \(Self.readOnlyLimit) bytes: it was not searched for overlapping blocks; "
                    + "'vhdfs check' does that"
            )
            return
        }
        if hasAnchors, isWritable { try keepAnchors(&used) }
        self.used = used
        if reservedBits > 0 {
            warnings.append("reserved bits are set in \(reservedBits) entries of the block allocation table")
        }
    }

    /// Calls `body` for each entry that isn't zero; false when there are too many of them.
    private func forEachStored(
        _ body: (UInt64, BlockEntry) throws(DiskError) -> Void
    ) throws(DiskError) -> Bool {
        let end = tableOffset + layout.entryCount * 8
        var position = tableOffset
        var stored: UInt64 = 0
        while position < end {
            let run = try file.allocation(at: position, limit: end)
            // Whole entries, and always further.
            let runEnd = min(max(run.end & ~7, position + 8), end)
            guard run.isData || run.end < position + 8 else {
                position = runEnd
                continue
            }
            while position < runEnd {
                let count = min(Self.chunk, runEnd - position)
                stored += count
                guard isWritable || stored <= Self.readOnlyLimit else { return false }
                let bytes = try file.readBytes("block allocation table", at: position, count: Int(count))
                let first = (position - tableOffset) / 8
                try bytes.withBytes { (span) throws(DiskError) in
                    try span.forEachNonzeroLittleEndian64 { (index, value) throws(DiskError) in
                        try body(first + UInt64(index), BlockEntry(raw: value))
                    }
                }
                position += count
            }
        }
        return true
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
    private func keepAnchors(_ used: inout UsedSpace) throws(DiskError) {
        _ = try forEachStored { (index, entry) throws(DiskError) in
            if case .anchor(let range) = try rules.use(of: entry, index), range.upperBound <= fileSize {
                _ = used.insert(range)
            }
        }
    }

    private mutating func noteZero(_ block: UInt64) {
        let pages = Set(zeroBlocksWithOffset.map { layout.entryIndex(ofBlock: $0) / 512 })
        let page = layout.entryIndex(ofBlock: block) / 512
        guard isWritable, pages.contains(page) || pages.count < Self.repairPageLimit else { return }
        zeroBlocksWithOffset.append(block)
    }

    private func checkEnd(_ range: Range<UInt64>, _ index: UInt64, _ entry: BlockEntry) throws(DiskError) {
        // A file may be cut to sectors behind its last block.
        guard range.upperBound > (fileSize + 511) & ~511 else { return }
        throw DiskError(
            .truncated,
            "block allocation table: entry \(index) puts a block at offset \(range.lowerBound)–\(range.upperBound), the file ends at "
                + "\(fileSize); the image was cut short or not copied completely",
            path: file.path
        )
    }
}
