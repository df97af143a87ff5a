internal import BlockDevice
internal import ByteIO

extension VHDCheck {
    /// Checks what only dynamic and differencing disks have: header, table, blocks.
    mutating func checkSparse(_ choice: FooterChoice) throws(DiskError) {
        let footer = choice.footer
        let header: DynamicHeader
        let layout: BlockLayout
        do throws(DiskError) {
            header = try DynamicHeader(of: footer, in: file)
            layout = BlockLayout(blockSize: UInt64(header.blockSize), diskSize: footer.currentSize & ~511)
            try DynamicVHD.check(footer, header, layout, file, VHDOpenOptions())
        } catch {
            return try report.record(error)
        }
        if header.blockSize < 4096 || header.blockSize > 256 << 20 {
            report.note("the block size is \(header.blockSize) bytes: it is attached readonly only")
        }
        let size = try file.size()
        let limit = choice.tailOffset ?? size
        var used = Occupancy(path: file.path)
        let places = try HeaderPlaces(footer, header, layout, file, fileLimit: limit)
        let batmap = try checkedBatmap(places.batmap, of: layout)
        try addHeaders(header, layout, places, limit, to: &used)
        if footer.diskType == .differencing { try checkParent(header, &used) }
        try checkTable(
            header,
            layout,
            places.end,
            batmap,
            limit,
            &used,
            isDifferencing: footer.diskType == .differencing
        )
    }

    private mutating func addHeaders(
        _ header: DynamicHeader,
        _ layout: BlockLayout,
        _ places: HeaderPlaces,
        _ limit: UInt64,
        to used: inout Occupancy
    ) throws(DiskError) {
        let table = header.tableOffset..<header.tableOffset + roundUp(layout.blockCount * 4, to: 512)
        try used.add("footer copy", 0..<512)
        try used.add("dynamic header", header.offset..<header.offset + UInt64(DynamicHeader.byteCount))
        try used.add("block allocation table", table)
        // A table may be made for a bigger disk. A claim that the file has no room for was never true.
        let claimed = header.tableOffset + roundUp(UInt64(header.maxTableEntries) * 4, to: 512)
        if claimed <= limit {
            try used.add(.spare, header.tableOffset..<claimed)
        } else if claimed > table.upperBound {
            report.note(
                "the dynamic header claims \(header.maxTableEntries) entries of the block allocation table; the disk has "
                    + "\(layout.blockCount) blocks, and the file has no room for more"
            )
        }
        if places.hasBatmapOutside {
            report.note("the batmap would be behind the end of the file: the image is attached readonly only")
        }
        if let batmap = places.batmap { try used.add("batmap", batmap.range) }
    }

    // MARK: The parent

    private mutating func checkParent(_ header: DynamicHeader, _ used: inout Occupancy) throws(DiskError) {
        let bytes = try file.readBytes("dynamic header", at: header.offset, count: DynamicHeader.byteCount)
        let size = try file.size()
        for index in 0..<8 {
            let place = 576 + 24 * index
            guard let entry = try? bytes.bytes(at: place, count: 24),
                let code = try? entry.load(UInt32.self, at: 0, .big), code != 0,
                let length = try? entry.load(UInt32.self, at: 8, .big),
                let offset = try? entry.load(UInt64.self, at: 16, .big)
            else { continue }
            let name = "parent locator \(index)"
            guard let locator = try ParentLocator(entry: entry, in: file) else {
                report.damage(
                    name,
                    at: header.offset + UInt64(place),
                    "it claims \(length) bytes at offset \(offset), expected at most 65536 inside the file of \(size)"
                )
                continue
            }
            try used.add(name, locator.range)
            let (room, overflow) = locator.range.lowerBound.addingReportingOverflow(locator.space)
            if !overflow, room <= size { try used.add(.spare, locator.range.lowerBound..<room) }
        }
        let parent = VHDParentReference(header)
        let paths = parent.paths.text
        report.note(
            "its parent, which is not checked here, has the unique id \(parent.uniqueID) and is "
                + (paths.isEmpty ? "named nowhere" : "said to be \(paths)")
        )
    }

    // MARK: The table and the blocks

    private mutating func checkTable(
        _ header: DynamicHeader,
        _ layout: BlockLayout,
        _ headersEnd: UInt64,
        _ batmap: CheckedBatmap?,
        _ limit: UInt64,
        _ used: inout Occupancy,
        isDifferencing: Bool
    ) throws(DiskError) {
        var allocated: UInt64 = 0
        var isAligned = true
        var dataStart = headersEnd
        let table = BlockTableStream(of: file, at: header.tableOffset, count: layout.blockCount)
        try table.forEach { (block, entry) throws(DiskError) in
            guard entry != BlockTable.unallocated else {
                if let batmap, batmap.isFull(block) {
                    report.damage("batmap", at: batmap.offset(of: block), "block \(block) is full, but not allocated")
                }
                return
            }
            allocated += 1
            let start = UInt64(entry) * 512
            guard start < limit else {
                let place = header.tableOffset + block * 4
                report.damage(
                    "block allocation table entry \(block)",
                    at: place,
                    "it is \(hex(entry)), a block at offset \(start), expected one in front of offset \(limit)"
                )
                return
            }
            if (start + layout.bitmapSize) % 4096 != 0 { isAligned = false }
            dataStart = min(dataStart, start)
            try used.add(.block(block), start..<start + layout.storedSize)
        }
        report.subject += ", \(allocated) of \(layout.blockCount) blocks of \(layout.blockSize) bytes allocated"

        var bitmaps = BitmapCheck(file, layout, batmap, limit, isDifferencing: isDifferencing)
        try used.inspect(upTo: limit, &report) { (block, range, report) throws(DiskError) in
            try bitmaps.check(block, range, &report)
        } gap: { gap, report in
            // Windows and others keep room between the structures in front of the data.
            guard gap.upperBound > dataStart else { return }
            let place = layout.place(behind: gap.lowerBound, isAligned: isAligned)
            if place + layout.storedSize <= gap.upperBound { report.leak(gap, "that nothing uses") }
        }
        bitmaps.finish(&report)
    }
}

/// The entries of a table, one after the other, without holding it.
struct BlockTableStream {
    private static let chunk: UInt64 = 65_536

    private let file: any HostFile
    private let offset: UInt64
    private let count: UInt64

    init(of file: any HostFile, at offset: UInt64, count: UInt64) {
        self.file = file
        self.offset = offset
        self.count = count
    }

    /// Gives each block and its entry.
    func forEach(_ body: (UInt64, UInt32) throws(DiskError) -> Void) throws(DiskError) {
        var block: UInt64 = 0
        while block < count {
            let part = min(Self.chunk / 4, count - block)
            let bytes = try file.readBytes("block allocation table", at: offset + block * 4, count: Int(part * 4))
            try bytes.withBytes { (span) throws(DiskError) in
                try span.forEachBigEndian32 { (entry) throws(DiskError) in
                    try body(block, entry)
                    block += 1
                }
            }
        }
    }
}
