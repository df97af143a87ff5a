internal import BlockDevice

/// Which parts of the file headers, tables and locators take: no block can be there, and none may be put there (formats.md §2.9).
struct HeaderPlaces {
    /// Ranges in use.
    let occupied: [Range<UInt64>]
    /// Behind everything that belongs to the headers, with the room that they keep for growing.
    let end: UInt64
    /// Xen's map of complete blocks, if there is one inside the file.
    let batmap: Batmap?
    /// There is one that is not, or would be once the file has grown.
    let hasBatmapOutside: Bool

    init(
        _ footer: Footer,
        _ header: DynamicHeader,
        _ layout: BlockLayout,
        _ file: any HostFile,
        fileLimit: UInt64
    ) throws(DiskError) {
        let used = header.tableOffset..<header.tableOffset + roundUp(layout.blockCount * 4, to: 512)
        // A table may be made for a bigger disk. A claim that the file has no room for was never true.
        let claimed = header.tableOffset + roundUp(UInt64(header.maxTableEntries) * 4, to: 512)
        let tableEnd = claimed <= fileLimit ? claimed : used.upperBound
        let map = try Batmap(of: file, footer: footer, tableEnd: tableEnd)
        // The map stands behind the claimed table. Once the file has grown so far it would be looked for among the blocks.
        hasBatmapOutside = map?.isOutside ?? (claimed > fileLimit && Batmap.mayBeThere(footer))
        batmap = hasBatmapOutside ? nil : map

        var ranges = [0..<512, header.offset..<header.offset + UInt64(DynamicHeader.byteCount), used]
        ranges += header.locators.map(\.range)
        if let batmap { ranges.append(batmap.range) }
        occupied = ranges.filter { !$0.isEmpty }

        // The same for a locator's spare room.
        let roomy = header.locators
            .map { $0.range.lowerBound + $0.space }
            .filter { $0 <= fileLimit }
        end = (ranges.map(\.upperBound) + roomy + [tableEnd]).max() ?? 0
    }
}
