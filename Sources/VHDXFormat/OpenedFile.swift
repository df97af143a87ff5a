internal import BlockDevice
internal import ByteIO

/// The structures of a VHDX file, read in their order: headers, log, region tables, metadata (formats.md §3).
struct OpenedFile {
    let creator: String
    let choice: HeaderChoice
    /// Nil when the log is empty and its place makes no sense.
    let log: LogPlace?
    /// The file with its log laid over it, if the log is not empty.
    let replayed: ReplayedFile?
    let replayedEntries: Int
    /// What is to be read from here on.
    let file: any HostFile
    let regions: RegionTable
    let metadata: DiskMetadata
    let layout: BlockLayout
    let rules: EntryRules
    let warnings: [String]

    /// - Parameter logLimit: a log of more bytes than this is not replayed.
    init(_ file: any HostFile, isWritable: Bool, logLimit: UInt64 = .max) throws(DiskError) {
        guard try VHDXImage.recognize(file) else {
            throw DiskError(.fileCorrupt, "file identifier: the signature 'vhdxfile' is missing", path: file.path)
        }
        let identifier = try file.readBytes("file identifier", at: 8, count: 512)
        creator = decodeUTF16(identifier, .little)
        choice = try HeaderChoice(in: file)
        let header = choice.header
        try Self.checkWritable(header, isWritable, file.path)

        log = try LogPlace(header, fileSize: file.size(), path: file.path, isWritable: isWritable)
        if let log, header.logGUID != .zero {
            guard log.length <= logLimit else {
                throw DiskError(.limit, "the log has \(log.length) bytes, more than is read for this", path: file.path)
            }
            let replay = try LogReplay(log, header, in: file)
            let overlay = ReplayedFile(file, replay)
            (replayed, replayedEntries, self.file) = (overlay, replay.entryCount, overlay)
        } else {
            (replayed, replayedEntries, self.file) = (nil, 0, file)
        }

        regions = try RegionTable(in: self.file)
        let reserved = try ReservedRanges(log, regions, path: file.path)
        metadata = try DiskMetadata(in: regions.metadataRange, of: self.file, isWritable: isWritable)
        layout = BlockLayout(
            diskSize: metadata.size,
            blockSize: metadata.blockSize,
            sectorSize: metadata.logicalSectorSize,
            hasParent: metadata.hasParent
        )
        let tableRange = regions.tableRange
        guard layout.entryCount * 8 <= tableRange.upperBound - tableRange.lowerBound else {
            throw DiskError(
                .allocationTableCorrupt,
                "region table: the block allocation table has \(tableRange.upperBound - tableRange.lowerBound) bytes, the disk needs "
                    + "\(layout.entryCount * 8)",
                path: file.path
            )
        }
        rules = EntryRules(
            layout: layout,
            hasParent: metadata.hasParent,
            reserved: reserved,
            tableOffset: tableRange.lowerBound,
            path: file.path
        )
        var warnings = choice.warnings
        if log == nil { warnings.append("the header puts the log, which is empty, where none can be") }
        self.warnings = warnings + regions.warnings + metadata.warnings
    }

    private static func checkWritable(_ header: Header, _ isWritable: Bool, _ path: String) throws(DiskError) {
        guard isWritable, header.sequenceNumber > .max - LogWriter.sequenceReserve else { return }
        throw DiskError(
            .fileCorrupt,
            "header: its sequence number \(header.sequenceNumber) leaves no room for changes; it can be attached readonly",
            path: path
        )
    }
}
