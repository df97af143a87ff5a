internal import BlockDevice

/// Where the next block goes, where the footer is, and what must be mended before the first write. Used under its lock only.
///
/// The rule behind every order of writes here (formats.md §8.1): between two syncs any of the writes may be on the medium and any may
/// not, so each state on the way must be a sound image.
struct Allocator {
    private let layout: BlockLayout
    /// The data of blocks stands on 4 KiB boundaries, and the file ends on one.
    private let isAligned: Bool
    /// Where the footer must be when the length of the "file", a block device, can't be changed: in its last sector.
    private let fixedFooterPlace: UInt64?

    /// The first byte behind all headers and blocks, linked or about to be.
    private(set) var endOfData: UInt64
    /// Where the footer at the end stands; nil when it must be made first.
    private(set) var footerOffset: UInt64?
    /// Places of blocks that were unlinked in this session, or never got linked. Only the same block may use such a place again: a reader
    /// or writer that is still on its way there then meets no other block's bytes.
    private var anchors: [UInt64: UInt32] = [:]

    /// Room that earlier sessions have freed, the first of it last.
    private var gaps: [UInt32]
    private let tailIsShort: Bool
    private let headNeedsRewrite: Bool
    private let batmap: Batmap?

    /// New space is taken in pieces of an eighth of what the disk has, so that most blocks need no footer move and no sync.
    private static let growthLimit: UInt64 = 64 << 20

    init(
        choice: FooterChoice,
        places: HeaderPlaces,
        scan: TableScan,
        layout: BlockLayout,
        fixedFooterPlace: UInt64?
    ) {
        self.fixedFooterPlace = fixedFooterPlace
        self.layout = layout
        isAligned = scan.isAligned
        endOfData = max(places.end, scan.endOfData)
        gaps = scan.gaps.reversed()
        footerOffset = choice.tailOffset
        tailIsShort = choice.tailIsShort
        headNeedsRewrite = choice.headNeedsRewrite
        batmap = places.batmap
    }

    /// Where the footer belongs when the data ends at `end`.
    private func footerPlace(behind end: UInt64) -> UInt64 {
        if let fixedFooterPlace { return fixedFooterPlace }
        return isAligned ? roundUp(end + 512, to: 4096) - 512 : roundUp(end, to: 512)
    }

    // MARK: Before the first write

    /// Mends what `FooterChoice` and `TableScan` have accepted for reading. After a failure it may be called again.
    mutating func prepare(_ footer: Footer, _ file: any HostFile) throws(DiskError) {
        let oldFooter = footerOffset
        if let place = footerOffset, place >= endOfData {
            if tailIsShort { try writeFooter(footer, at: place, file) }
        } else {
            // No footer at the end, or one inside of the last block: a new one behind the data, durable before anything else changes.
            let place = footerPlace(behind: endOfData)
            try writeFooter(footer, at: place, file)
            try cut(file, behind: place)
            if let oldFooter { try file.zero(oldFooter..<endOfData) }
            footerOffset = place
        }
        if headNeedsRewrite { try writeFooter(footer, at: 0, file) }
        try batmap?.clear(in: file)
        // What unlinked them may be as fresh as a killed session: it must be durable before another block's bytes are.
        if !gaps.isEmpty { try file.synchronize() }
    }

    /// The footer at `place` is durable: nothing behind it counts.
    private func cut(_ file: any HostFile, behind place: UInt64) throws(DiskError) {
        guard fixedFooterPlace == nil else { return }
        try file.truncate(to: place + 512)
        try file.synchronize()
    }

    private func writeFooter(_ footer: Footer, at offset: UInt64, _ file: any HostFile) throws(DiskError) {
        try file.write(footer.bytes, at: offset)
        try file.synchronize()
    }

    // MARK: Blocks

    /// Finds room for a block and makes it zero, bitmap and data. The block is not linked yet.
    ///
    /// - Returns: the sector of the file where the block begins: its entry of the table.
    mutating func allocate(_ block: UInt64, _ footer: Footer, _ file: any HostFile) throws(DiskError) -> UInt32 {
        let place: UInt64
        let anchor = anchors[block]
        if let known = anchor ?? gaps.popLast() {
            place = UInt64(known) * 512
            anchors[block] = known
        } else {
            place = layout.place(behind: endOfData, isAligned: isAligned)
            guard place / 512 < UInt64(BlockTable.unallocated) else {
                throw DiskError(.noSpace, "the file has no room for another block below 2 TiB", path: file.path)
            }
            try makeRoom(upTo: place + layout.storedSize, footer, file)
            endOfData = place + layout.storedSize
            anchors[block] = UInt32(place / 512)
        }
        // The room may hold the old footer, the gap in front of it, or bytes of a session that was killed.
        try file.zero(place..<place + layout.storedSize)
        // The table in the file may still link the block here: its new bitmap must not be durable over what lay under the old one.
        if anchor != nil { try file.synchronize() }
        return UInt32(place / 512)
    }

    /// The block is linked now: its place is no longer free for it.
    mutating func didLink(_ block: UInt64) {
        anchors[block] = nil
    }

    /// The block has been unlinked from `entry`.
    mutating func didUnlink(_ block: UInt64, from entry: UInt32) {
        anchors[block] = entry
    }

    /// Moves the footer behind `end`. The old one is destroyed by whoever uses the room, so the new one is durable first.
    private mutating func makeRoom(upTo end: UInt64, _ footer: Footer, _ file: any HostFile) throws(DiskError) {
        if let footerOffset, footerOffset >= end { return }
        guard fixedFooterPlace == nil else {
            throw DiskError(.noSpace, "the device has no room for another block", path: file.path)
        }
        let spare = min(end / 8, Self.growthLimit) / layout.storedSize * layout.storedSize
        do {
            try moveFooter(footer, to: footerPlace(behind: end + spare), file)
        } catch  where error.kind == .noSpace && spare > 0 {
            try moveFooter(footer, to: footerPlace(behind: end), file)
        }
    }

    private mutating func moveFooter(_ footer: Footer, to place: UInt64, _ file: any HostFile) throws(DiskError) {
        do {
            try writeFooter(footer, at: place, file)
        } catch {
            // The host is full, say: let the good footer be the last bytes of the file again.
            if let footerOffset { try? file.truncate(to: footerOffset + 512) }
            throw error
        }
        footerOffset = place
    }

    // MARK: At the end

    /// Gives back the spare room: the footer goes directly behind the data, and only when it is durable there is the file cut.
    mutating func trim(_ footer: Footer, _ file: any HostFile) throws(DiskError) {
        let place = footerPlace(behind: endOfData)
        guard let current = footerOffset, place < current else { return }
        try writeFooter(footer, at: place, file)
        footerOffset = place
        try cut(file, behind: place)
    }
}
