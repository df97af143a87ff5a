internal import BlockDevice
internal import ByteIO

/// One walk over the block allocation table at open: whether every entry is sound, and where the data ends.
///
/// The table is streamed, never held; a hostile one costs time in proportion to its size in the file, and a bounded amount of memory.
struct TableScan {
    /// A block that reaches past the end of the file, or into the footer.
    struct CutBlock {
        var block: UInt64
        var entry: UInt32
    }

    /// How many blocks are allocated.
    private(set) var allocatedBlocks: UInt64 = 0
    /// Where the last block ends, in bytes of the file; 0 without blocks.
    private(set) var endOfData: UInt64 = 0
    /// Where the first block begins, in bytes of the file; the largest number without blocks.
    private(set) var startOfData = UInt64.max
    /// The data of every block stands on a 4 KiB boundary, as Windows places it.
    private(set) var isAligned = true
    /// Places for blocks between others, from the front of the file on; a limited number of them.
    private(set) var gaps: [UInt32] = []
    /// The one block that may be cut.
    private(set) var cutBlock: CutBlock?

    private let file: any HostFile
    private let layout: BlockLayout
    private let tableOffset: UInt64
    private let tableCount: UInt64
    private let reserved: [Range<UInt64>]
    private let reservedEnd: UInt64
    private let fileLimit: UInt64

    private static let chunk: UInt64 = 65_536
    private static let gapLimit = 4096

    /// Walks over the table.
    ///
    /// - Parameters:
    ///   - reserved: the ranges of the file where no block can be: headers, table, locators.
    ///   - headersEnd: behind everything that belongs to the headers: no new block before that.
    ///   - fileLimit: where blocks must end: the footer, or the end of the file.
    init(
        of file: any HostFile,
        layout: BlockLayout,
        tableOffset: UInt64,
        reserved: [Range<UInt64>],
        headersEnd: UInt64,
        fileLimit: UInt64
    ) throws(DiskError) {
        self.file = file
        self.layout = layout
        self.tableOffset = tableOffset
        tableCount = layout.blockCount
        self.reserved = reserved
        reservedEnd = reserved.map(\.upperBound).max() ?? 0
        self.fileLimit = fileLimit

        var overlap = try OverlapCheck(layout: layout, fileLimit: fileLimit, path: file.path)
        try forEachAllocated { (block, entry) throws(DiskError) in
            try check(block, entry)
            try overlap.insert(entry, block: block)
        }
        while overlap.nextWindow() {
            try forEachAllocated { (block, entry) throws(DiskError) in try overlap.insert(entry, block: block) }
        }
        gaps = overlap.gaps(from: max(headersEnd, reservedEnd), limit: Self.gapLimit) {
            layout.place(behind: $0, isAligned: isAligned)
        }
        if let cutBlock { try checkCut(cutBlock) }
    }

    private func forEachAllocated(_ body: (UInt64, UInt32) throws(DiskError) -> Void) throws(DiskError) {
        var block: UInt64 = 0
        while block < tableCount {
            let count = min(Self.chunk / 4, tableCount - block)
            let bytes = try file.readBytes("block allocation table", at: tableOffset + block * 4, count: Int(count * 4))
            try bytes.withBytes { (span) throws(DiskError) in
                try span.forEachBigEndian32 { (entry) throws(DiskError) in
                    if entry != BlockTable.unallocated { try body(block, entry) }
                    block += 1
                }
            }
        }
    }

    private mutating func check(_ block: UInt64, _ entry: UInt32) throws(DiskError) {
        let start = UInt64(entry) * 512
        let end = start + layout.storedSize
        if start < reservedEnd, let hit = reserved.first(where: { start < $0.upperBound && $0.lowerBound < end }) {
            throw bad(block, entry, "lies on the headers at \(hit.lowerBound)–\(hit.upperBound)")
        }
        guard start < fileLimit else { throw bad(block, entry, "is behind the end of the data at \(fileLimit)") }
        if end > fileLimit {
            guard cutBlock == nil else { throw bad(block, entry, "overlaps another block") }
            cutBlock = CutBlock(block: block, entry: entry)
        }
        allocatedBlocks += 1
        startOfData = min(startOfData, start)
        endOfData = max(endOfData, end)
        if (start + layout.bitmapSize) % 4096 != 0 { isAligned = false }
    }

    /// A block may be cut where nothing is missed: behind the disk's end, or where its bitmap says that nothing was written.
    private func checkCut(_ cut: CutBlock) throws(DiskError) {
        let start = UInt64(cut.entry) * 512
        let dataStart = start + layout.bitmapSize
        func truncated(_ what: String) -> DiskError {
            DiskError(
                .truncated,
                "block \(cut.block) at offset \(start) reaches to \(start + layout.storedSize), the file's data ends at \(fileLimit): "
                    + "\(what) is missing; the image was cut short or not copied completely",
                path: file.path
            )
        }
        guard dataStart <= fileLimit else { throw truncated("its sector bitmap") }
        let range = layout.diskRange(of: cut.block)
        let firstMissing = (fileLimit - dataStart) / 512
        let sectors = (range.upperBound - range.lowerBound) / 512
        guard firstMissing < sectors else { return }
        let bitmap = try file.readBytes("sector bitmap", at: start, count: Int(layout.bitmapSize))
        for sector in firstMissing..<sectors where bitmap[Int(sector / 8)] & (0x80 >> UInt8(sector % 8)) != 0 {
            throw truncated("sector \(sector) of it")
        }
    }

    private func bad(_ block: UInt64, _ entry: UInt32, _ what: String) -> DiskError {
        DiskError(
            .allocationTableCorrupt,
            "block allocation table: entry \(block) at offset \(tableOffset + block * 4) is \(hex(entry)): "
                + "the block at offset \(UInt64(entry) * 512) \(what)",
            path: file.path
        )
    }
}
