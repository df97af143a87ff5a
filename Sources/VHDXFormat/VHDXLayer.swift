public import BlockDevice
public import ByteIO
internal import Platform
internal import Synchronization

/// An open VHDX file.
///
/// Reading settled blocks takes no lock but the short one of the metadata cache. What changes the tables (allocation, bits, freeing)
/// happens under `allocator`'s lock, in `VHDXLayer+Writing.swift`; flushes are in `VHDXLayer+Flushing.swift`.
/// Lock order: `flushing`, then `allocator`, then `log`, then the cache's.
public final class VHDXLayer: BlockwiseLayer {
    public let file: FailStopFile
    public let size: UInt64
    /// What the file says about itself.
    public let facts: VHDXFacts

    let opened: OpenedFile
    let layout: BlockLayout
    let table: BlockTable
    let cache: MetadataCache
    let hasParent: Bool
    private let rules: EntryRules

    let allocator: Locked<Allocator>
    /// Nil when the disk is not to be written.
    let log: Locked<LogWriter?>
    /// Apart from `log`, which is held over syncs: who asks for it must not wait for the storage.
    let currentDataWriteGUID: Locked<GUID>
    /// How many pages one flush can log; 0 when the disk is not to be written.
    let pageLimit: Int
    /// Whether everything has been done that must be before the first write; set once.
    let isPrepared = Atomic(false)
    /// Held for a whole flush, so that an older state of the tables is never written over a newer one.
    let flushing = Locked(())
    /// Empties the log when nothing has been flushed for a while; nil when only `finish` does.
    let idleCheckpoint: IdleCheckpoint?

    init(_ file: any HostFile, _ options: VHDXOpenOptions) throws(DiskError) {
        let opened = try OpenedFile(file, isWritable: options.isWritable)
        let metadata = opened.metadata
        self.file = FailStopFile(opened.file)
        self.opened = opened
        size = metadata.size
        hasParent = metadata.hasParent
        layout = opened.layout
        rules = opened.rules
        cache = MetadataCache(self.file)
        table = BlockTable(at: opened.regions.tableRange.lowerBound, layout: layout, cache: cache)

        let scan = try TableScan(of: opened, limit: TableScan.attachLimit, isWritable: options.isWritable)
        allocator = Locked(Allocator(scan))
        var writer: LogWriter?
        if options.isWritable, let log = opened.log { writer = LogWriter(opened.choice, log: log, file: self.file) }
        pageLimit = writer?.pageLimit ?? 0
        log = Locked(writer)
        currentDataWriteGUID = Locked(opened.choice.header.dataWriteGUID)
        idleCheckpoint = options.isWritable ? options.checkpointDelay.map { IdleCheckpoint(delay: $0) } : nil
        facts = VHDXFacts(
            diskType: metadata.hasParent ? .differencing : metadata.leavesBlocksAllocated ? .fixed : .dynamic,
            creator: opened.creator,
            blockSize: metadata.blockSize,
            logicalSectorSize: Int(metadata.logicalSectorSize),
            physicalSectorSize: Int(metadata.physicalSectorSize),
            virtualDiskID: metadata.virtualDiskID,
            dataWriteGUID: opened.choice.header.dataWriteGUID,
            parent: metadata.parent,
            replayedEntries: opened.replayedEntries,
            warnings: opened.warnings + scan.warnings
        )
    }

    /// What children would record of this disk now: it changes with the first write of a session.
    public var dataWriteGUID: GUID { currentDataWriteGUID.withLock { $0 } }

    public var blockSize: UInt64 { layout.blockSize }

    // MARK: Reading

    public func extent(at offset: UInt64, limit: UInt64) throws(DiskError) -> Extent {
        let block = layout.block(of: offset)
        let inBlock = layout.offsetInBlock(offset)
        let entry = try table.entry(ofBlock: block)
        guard let state = entry.state else { throw damaged(entry, block) }
        switch state {
        case .fullyPresent:
            let start = try place(of: entry, block)
            let end = layout.diskRange(of: block).upperBound - offset
            return Extent(.file(offset: start + inBlock), count: min(limit, end))
        case .partiallyPresent:
            return try partialExtent(at: offset, limit: limit, block, entry)
        case .notPresent, .undefined, .zero, .unmapped:
            let wanted = (inBlock + limit + layout.blockSize - 1) / layout.blockSize
            let blocks = max(try table.run(from: block, in: state, limit: wanted), 1)
            let end = min((block + blocks) * layout.blockSize, size)
            return Extent(hasParent && state == .notPresent ? .parent : .zero, count: min(limit, end - offset))
        }
    }

    /// A run within a block of which some sectors are here and the others in the parent.
    private func partialExtent(
        at offset: UInt64,
        limit: UInt64,
        _ block: UInt64,
        _ entry: BlockEntry
    ) throws(DiskError) -> Extent {
        guard hasParent else { throw damaged(entry, block) }
        let start = try place(of: entry, block)
        let inBlock = layout.offsetInBlock(offset)
        let end = min(limit, layout.diskRange(of: block).upperBound - offset)
        let within = inBlock % layout.sectorSize
        let bit = layout.firstBit(ofBlock: block) + inBlock / layout.sectorSize
        let bits = try cache.runOfLowFirstBits(
            at: Int(bit % 4096),
            limit: Int((within + end + layout.sectorSize - 1) / layout.sectorSize),
            ofSector: try bitmapPlace(of: block) / 512 + bit / 4096
        )
        let count = min(end, UInt64(bits.count) * layout.sectorSize - within)
        return Extent(bits.isSet ? .file(offset: start + inBlock) : .parent, count: count)
    }

    /// Where a block's bytes are. Checked at open (but for very long tables); if it is no longer true, the file has changed under us.
    func place(of entry: BlockEntry, _ block: UInt64) throws(DiskError) -> UInt64 {
        try rules.room(of: entry, layout.entryIndex(ofBlock: block), layout.blockSize).lowerBound
    }

    /// Where the sector bitmap of a block's chunk is.
    func bitmapPlace(of block: UInt64) throws(DiskError) -> UInt64 {
        let chunk = layout.chunk(of: block)
        let entry = try table.entry(ofBitmap: chunk)
        guard entry.state == .fullyPresent else { throw rules.missingBitmap(chunk) }
        return try rules.room(of: entry, layout.entryIndex(ofBitmap: chunk), BlockLayout.bitmapBlockSize).lowerBound
    }

    func damaged(_ entry: BlockEntry, _ block: UInt64) -> DiskError {
        rules.damaged(layout.entryIndex(ofBlock: block), entry, "has a state that is none for it")
    }
}
