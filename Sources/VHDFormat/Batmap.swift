internal import BlockDevice
internal import ByteIO

/// Xen's map of completely written blocks, behind the block allocation table of its own files (formats.md §2.10).
///
/// It is a cache that may only understate, and we never read it; before the first write it is emptied, so that it can't overstate.
struct Batmap {
    /// Header and map, in the file.
    let range: Range<UInt64>
    /// The map points out of the file, where it means nothing; when the file grows it would come to lie on a block.
    let isOutside: Bool
    private let headerOffset: UInt64
    private let header: [UInt8]

    /// Whether the file's creator is one that writes such maps.
    static func mayBeThere(_ footer: Footer) -> Bool {
        footer.creatorApplication.hasPrefix("tap") && footer.creatorVersion >= 0x0001_0001
    }

    /// Finds the map of a file that Xen made; nil when there is none, or a damaged one, which Xen ignores too.
    init?(of file: any HostFile, footer: Footer, tableEnd: UInt64) throws(DiskError) {
        guard Self.mayBeThere(footer) else { return nil }
        let size = try file.size()
        guard tableEnd <= size, size - tableEnd >= 512 else { return nil }
        header = try file.readBytes("batmap header", at: tableEnd, count: 512)
        guard
            header.starts(with: Array("tdbatmap".utf8)),
            let mapOffset = try? header.load(UInt64.self, at: 8, .big),
            let mapSectors = try? header.load(UInt32.self, at: 16, .big),
            let keyCookie = try? header.load(UInt8.self, at: 29, .big)
        else { return nil }
        if keyCookie == 1 {
            throw DiskError(
                .unsupportedFeature,
                "the blocks are encrypted (batmap at offset \(tableEnd))",
                path: file.path
            )
        }
        let mapSize = UInt64(mapSectors) * 512
        let (mapEnd, overflow) = mapOffset.addingReportingOverflow(mapSize)
        isOutside = overflow || mapEnd > size
        guard mapOffset >= tableEnd + 512 else { return nil }
        headerOffset = tableEnd
        range = tableEnd..<(isOutside ? tableEnd + 512 : mapEnd)
    }

    /// Says of no block that it is complete. The map is durable before its checksum: in between it is invalid, never wrong.
    func clear(in file: any HostFile) throws(DiskError) {
        let mapOffset = (try? header.load(UInt64.self, at: 8, .big)) ?? range.upperBound
        try file.zero(mapOffset..<range.upperBound)
        try file.synchronize()
        var cleared = header
        cleared.store(UInt32.max, at: 24, .big)
        try file.write(cleared, at: headerOffset)
        try file.synchronize()
    }
}
