internal import BlockDevice
internal import ByteIO

extension VHDXCheck {
    /// QEMU makes every file 8 MiB long and begins the data there, and nothing uses what is between that and the regions.
    private static let usualRoom: UInt64 = 4 << 20

    /// Checks every entry of the block allocation table, what overlaps, and what nothing uses.
    mutating func checkTable(_ metadata: DiskMetadata, _ regions: RegionTable) throws(DiskError) {
        let layout = BlockLayout(
            diskSize: metadata.size,
            blockSize: metadata.blockSize,
            sectorSize: metadata.logicalSectorSize,
            hasParent: metadata.hasParent
        )
        let place = regions.tableRange
        if layout.entryCount * 8 > place.upperBound - place.lowerBound {
            report.damage(
                "block allocation table",
                at: place.lowerBound,
                "it has \(place.upperBound - place.lowerBound) bytes, the disk needs \(layout.entryCount * 8)"
            )
        }
        var entries = EntryCheck(
            layout: layout,
            tableOffset: place.lowerBound,
            fileSize: try file.size(),
            hasParent: metadata.hasParent
        )
        let stored = StoredEntries(of: file, in: place, count: layout.entryCount)
        try stored.forEach { (index, entry) throws(DiskError) in
            try entries.check(entry, index, &report, &used)
        }
        entries.finish(&report)
        report.subject += ", \(entries.present) of \(layout.blockCount) blocks of \(layout.blockSize) bytes allocated"

        let mebibyte: UInt64 = 1 << 20
        let structuresEnd = max(structuresEnd, regions.ranges.map(\.upperBound).max() ?? 0)
        try used.inspect(upTo: try file.size(), &report) { (_, _, _) throws(DiskError) in
        } gap: { gap, report in
            let start = (gap.lowerBound + mebibyte - 1) & ~(mebibyte - 1)
            let end = gap.upperBound & ~(mebibyte - 1)
            guard start < end else { return }
            if start == structuresEnd, end - start <= Self.usualRoom {
                report.note(
                    "the \(end - start) bytes behind the regions, at offset \(start), are unused, as QEMU leaves them"
                )
            } else {
                report.leak(start..<end, "that nothing uses")
            }
        }
    }
}

/// Checks one entry of the table after the other (formats.md §3.6).
private struct EntryCheck {
    let layout: BlockLayout
    let tableOffset: UInt64
    let fileSize: UInt64
    let hasParent: Bool

    /// Blocks with bytes of their own.
    private(set) var present: UInt64 = 0
    private var zeroWithOffset: UInt64 = 0
    private var partialChunks: Set<UInt64> = []
    private var bitmapChunks: Set<UInt64> = []

    init(layout: BlockLayout, tableOffset: UInt64, fileSize: UInt64, hasParent: Bool) {
        self.layout = layout
        self.tableOffset = tableOffset
        self.fileSize = fileSize
        self.hasParent = hasParent
    }

    mutating func check(
        _ entry: BlockEntry,
        _ index: UInt64,
        _ report: inout CheckReport,
        _ used: inout Occupancy
    ) throws(DiskError) {
        if entry.hasReservedBits { damaged(entry, index, "reserved bits are set", &report) }
        switch layout.role(ofEntry: index) {
        case .bitmap(let chunk):
            switch entry.state {
            case .notPresent: break
            case .fullyPresent:
                bitmapChunks.insert(chunk)
                try add(.bitmapBlock(chunk), entry, index, BlockLayout.bitmapBlockSize, &report, &used)
            default:
                damaged(entry, index, "state \(entry.raw & 7), expected 0 or 6 for a sector bitmap", &report)
            }
        case .payload(let block) where block < layout.blockCount:
            try checkPayload(block, entry, index, &report, &used)
        case .payload:
            break
        }
    }

    private mutating func checkPayload(
        _ block: UInt64,
        _ entry: BlockEntry,
        _ index: UInt64,
        _ report: inout CheckReport,
        _ used: inout Occupancy
    ) throws(DiskError) {
        switch entry.state {
        case .notPresent: break
        case .zero: if entry.offset != 0 { zeroWithOffset += 1 }
        case .undefined, .unmapped:
            // Room that the block had, and may have again. A place where it can't be is none.
            guard entry.offset > 0, let range = range(of: entry, layout.blockSize) else { return }
            try used.add(.spare, range)
        case .partiallyPresent:
            guard hasParent else {
                return damaged(entry, index, "block \(block) is partially present, and there is no parent", &report)
            }
            partialChunks.insert(layout.chunk(of: block))
            fallthrough
        case .fullyPresent:
            present += 1
            try add(.block(block), entry, index, layout.blockSize, &report, &used)
        case nil:
            damaged(entry, index, "block \(block) has the state \(entry.raw & 7), expected 0 to 3, 6 or 7", &report)
        }
    }

    private func add(
        _ owner: Occupancy.Owner,
        _ entry: BlockEntry,
        _ index: UInt64,
        _ size: UInt64,
        _ report: inout CheckReport,
        _ used: inout Occupancy
    ) throws(DiskError) {
        guard let range = range(of: entry, size) else {
            return damaged(entry, index, "\(size) bytes at offset \(entry.offset), the file has \(fileSize)", &report)
        }
        try used.add(owner, range)
    }

    /// Where a block is; nil if that is not inside the file.
    private func range(of entry: BlockEntry, _ size: UInt64) -> Range<UInt64>? {
        fileSize >= size && entry.offset <= fileSize - size ? entry.offset..<entry.offset + size : nil
    }

    private func damaged(_ entry: BlockEntry, _ index: UInt64, _ what: String, _ report: inout CheckReport) {
        report.damage(
            "block allocation table entry \(index)",
            at: tableOffset + index * 8,
            "it is \(hex(entry.raw)): \(what)"
        )
    }

    /// Adds what concerns several entries.
    func finish(_ report: inout CheckReport) {
        for chunk in partialChunks.subtracting(bitmapChunks).sorted() {
            let index = layout.entryIndex(ofBitmap: chunk)
            report.damage(
                "block allocation table entry \(index)",
                at: tableOffset + index * 8,
                "chunk \(chunk) has partially present blocks, and no sector bitmap"
            )
        }
        if zeroWithOffset > 0 {
            report.note("\(zeroWithOffset) blocks in the state ZERO have an offset, which Hyper-V does not accept")
        }
    }
}
