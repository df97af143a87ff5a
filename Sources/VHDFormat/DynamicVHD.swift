internal import BlockDevice
internal import ByteIO
internal import Platform
internal import Synchronization

/// A dynamic or differencing disk: blocks at any place of the file, found through the block allocation table.
///
/// Reading settled blocks takes no lock but the short one of the metadata cache. What changes the map (allocation, bits, freeing)
/// happens under `allocator`'s lock, in `DynamicVHD+Writing.swift`. Lock order: `flushing`, then `allocator`, then the cache's.
final class DynamicVHD: VHDLayer, BlockwiseLayer {
    let facts: VHDFacts
    let size: UInt64
    let file: FailStopFile

    let layout: BlockLayout
    let table: BlockTable
    let cache: MetadataCache
    let isDifferencing: Bool
    /// No block begins before this byte of the file; the headers are there.
    private let firstPlace: UInt64
    let allocator: Locked<Allocator>
    /// Whether everything has been mended that must be before the first write; set once.
    let isPrepared = Atomic(false)
    /// Held for a whole flush, so that an older state of the tables is never written over a newer one.
    let flushing = Locked(())

    init(_ file: any HostFile, _ choice: FooterChoice, _ options: VHDOpenOptions) throws(DiskError) {
        let footer = choice.footer
        let header = try DynamicHeader(of: footer, in: file)
        let layout = BlockLayout(blockSize: UInt64(header.blockSize), diskSize: footer.currentSize & ~511)
        try Self.check(footer, header, layout, file, options)

        self.file = FailStopFile(file)
        self.layout = layout
        size = layout.diskSize
        isDifferencing = footer.diskType == .differencing
        cache = MetadataCache(self.file)
        table = BlockTable(at: header.tableOffset, count: layout.blockCount, cache: cache)

        let fileSize = try file.size()
        let places = try HeaderPlaces(footer, header, layout, file, fileLimit: choice.tailOffset ?? fileSize)
        if options.writable, places.hasBatmapOutside {
            throw VHDImage.readOnly(file, "its batmap would be behind the end of the file, where new blocks would go")
        }
        let scan = try TableScan(
            of: file,
            layout: layout,
            tableOffset: header.tableOffset,
            reserved: places.occupied,
            headersEnd: places.end,
            fileLimit: choice.tailOffset ?? fileSize
        )
        facts = VHDFacts(
            footer: footer,
            blockSize: layout.blockSize,
            parent: isDifferencing ? VHDParentReference(header) : nil,
            warnings: choice.warnings
        )
        firstPlace = min(scan.startOfData, places.end)
        allocator = Locked(
            Allocator(
                choice: choice,
                places: places,
                scan: scan,
                layout: layout,
                fixedFooterPlace: file.canChangeSize ? nil : fileSize - 512
            )
        )
    }

    static func check(
        _ footer: Footer,
        _ header: DynamicHeader,
        _ layout: BlockLayout,
        _ file: any HostFile,
        _ options: VHDOpenOptions
    ) throws(DiskError) {
        let blockSize = header.blockSize
        guard blockSize >= 512, blockSize.nonzeroBitCount == 1, blockSize <= 1 << 30 else {
            throw DiskError(
                .invalidBlockSize,
                "dynamic header: block size is \(blockSize), expected a power of two from 512 to 1073741824",
                path: file.path
            )
        }
        if options.writable, blockSize < 4096 || blockSize > 256 << 20 {
            throw VHDImage.readOnly(file, "its block size is \(blockSize), outside of 4096 to 268435456")
        }
        if options.writable, header.hasLocatorOutside {
            throw VHDImage.readOnly(
                file,
                "a parent locator points behind the end of the file, where new blocks would go"
            )
        }
        guard footer.currentSize <= VHDImage.dynamicSizeLimit else {
            throw DiskError(
                .limit,
                "footer: current size is \(footer.currentSize), a dynamic disk has at most \(VHDImage.dynamicSizeLimit)",
                path: file.path
            )
        }
        guard layout.blockCount <= 1 << 26 else {
            throw DiskError(
                .limit,
                "the disk has \(layout.blockCount) blocks, at most 67108864 can be handled",
                path: file.path
            )
        }
        guard UInt64(header.maxTableEntries) >= layout.blockCount else {
            throw DiskError(
                .allocationTableCorrupt,
                "dynamic header: the block allocation table has \(header.maxTableEntries) entries, the disk needs "
                    + "\(layout.blockCount)",
                path: file.path
            )
        }
        let fileSize = try file.size()
        let offset = header.tableOffset
        // It is read by whole sectors, which it must fill (MS-VHD, Block Allocation Table).
        let tableSize = (layout.blockCount * 4 + 511) / 512 * 512
        guard offset >= 512, offset % 512 == 0, offset <= fileSize, fileSize - offset >= tableSize else {
            throw DiskError(
                .allocationTableCorrupt,
                "dynamic header: the block allocation table is at offset \(offset), expected a multiple of 512 with "
                    + "\(tableSize) bytes inside the file of \(fileSize)",
                path: file.path
            )
        }
        if footer.creatorApplication.hasPrefix("tap"), footer.creatorVersion == 1 {
            throw DiskError(
                .unsupportedFeature,
                "made by tapdisk 0.1, whose sector bitmaps have another bit order",
                path: file.path
            )
        }
    }

    var blockSize: UInt64 { layout.blockSize }

    // MARK: Reading

    func extent(at offset: UInt64, limit: UInt64) throws(DiskError) -> Extent {
        let block = layout.block(of: offset)
        let inBlock = layout.offsetInBlock(offset)
        let entry = try table.entry(block)
        guard entry != BlockTable.unallocated else {
            let wanted = (inBlock + limit + layout.blockSize - 1) / layout.blockSize
            let blocks = max(try table.unallocatedRun(from: block, limit: wanted), 1)
            let end = min((block + blocks) * layout.blockSize, size)
            return Extent(isDifferencing ? .parent : .zero, count: min(limit, end - offset))
        }
        let start = UInt64(entry) * 512
        // Checked at open; if it is no longer true, the file has changed under us.
        guard start >= firstPlace else {
            file.stop(.cutShort)
            throw DiskError(
                .allocationTableCorrupt,
                "block allocation table: entry \(block) has become \(hex(entry)): the file was changed while in use",
                path: file.path
            )
        }
        let end = min(limit, layout.diskRange(of: block).upperBound - offset)
        let sector = inBlock / 512
        let within = inBlock % 512
        // The bitmap has one sector for each 4,096 sectors of data.
        let bits = try cache.runOfBits(
            at: Int(sector % 4096),
            limit: Int((within + end + 511) / 512),
            ofSector: start / 512 + sector / 4096
        )
        let count = min(end, UInt64(bits.count) * 512 - within)
        if bits.isSet { return Extent(.file(offset: start + layout.bitmapSize + inBlock), count: count) }
        return Extent(isDifferencing ? .parent : .zero, count: count)
    }
}
