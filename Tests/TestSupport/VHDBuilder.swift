/// Makes a VHD file byte by byte as `formats.md` §2 describes it, right or damaged in a chosen way.
///
/// It shares no code with the provider: a mistake in one of them shows as a difference.
public struct VHDBuilder: Sendable {
    /// The disk types that can be built.
    public enum Subtype: UInt32, Sendable, CaseIterable {
        case fixed = 2
        case dynamic = 3
        case differencing = 4
    }

    /// Where blocks and the footer go.
    public enum Alignment: Sendable, CaseIterable {
        /// Data on 4 KiB, the file's length a multiple of 4 KiB, as Windows does.
        case windows
        /// One behind the other, as qemu does.
        case packed
    }

    /// A path to the parent.
    public struct Locator: Sendable {
        /// Four characters, `W2ru`.
        public var code: String
        /// What it says.
        public var bytes: [UInt8]
        /// The field "data space"; by default the length in bytes, rounded up to 512.
        public var space: UInt32?
        /// The field "data length".
        public var length: UInt32?
        /// The field "data offset", if the data is to be looked for elsewhere than it is.
        public var claimedOffset: UInt64?
        /// Where the data is put; by default behind the table.
        public var offset: UInt64?

        /// Makes a locator.
        public init(_ code: String, _ bytes: [UInt8]) {
            self.code = code
            self.bytes = bytes
        }
    }

    /// Which structure an edit is for.
    public enum Structure: Sendable, Hashable {
        case copy, tail, header
    }

    /// A change to a structure.
    public struct Edit: Sendable {
        var structures: Set<Structure>
        var offset: Int
        var bytes: [UInt8]
        var fixesChecksum: Bool
    }

    /// What is put behind the table of a Xen file.
    public enum Batmap: Sendable {
        case none, good, badChecksum, encrypted
    }

    /// The disk type.
    public var subtype: Subtype
    /// The size of the disk in bytes.
    public var size: UInt64
    /// What the layer's own sectors hold.
    public var disk: SparseBytes
    /// The allocated blocks; for each sector whether it is present. An empty array means all of them.
    public var blocks: [UInt64: [Bool]] = [:]
    /// How many data bytes a block has.
    public var blockSize: UInt32 = 0x20_0000

    /// The blocks in their physical order; ascending by default.
    public var order: [UInt64]?
    /// Free sectors in front of a block.
    public var gaps: [UInt64: UInt64] = [:]
    /// Where blocks and the footer go.
    public var alignment = Alignment.windows
    /// What lies in free space, and under clear bits.
    public var staleByte: UInt8 = 0xA5

    /// Where the dynamic header is.
    public var headerOffset: UInt64 = 512
    /// Where the table is; behind the header by default.
    public var tableOffset: UInt64?
    /// Entries more than the disk needs.
    public var extraEntries: UInt32 = 0
    /// What the surplus entries hold.
    public var extraEntryValue: UInt32 = 0xFFFF_FFFF
    /// Entries as they stand in the table, whatever is true.
    public var entryOverrides: [UInt64: UInt32] = [:]
    /// Whether Xen's map of full blocks is there.
    public var batmap = Batmap.none

    /// The footer's identifier, 16 bytes.
    public var uniqueID: [UInt8] = (1...16).map { $0 }
    /// Seconds since 2000.
    public var timestamp: UInt32 = 0x260C_F355
    /// Four characters.
    public var creator = "win "
    /// Major and minor, 16 bits each.
    public var creatorVersion: UInt32 = 0x000A_0000
    /// Four characters.
    public var hostSystem = "Wi2k"
    /// 1 if a suspended machine needs the disk.
    public var savedState: UInt8 = 0

    /// The identifier that the parent must have.
    public var parentID: [UInt8] = [UInt8](repeating: 0, count: 16)
    /// When the parent was changed last; 0 for unknown.
    public var parentTimestamp: UInt32 = 0
    /// The parent's name.
    public var parentName = ""
    /// At most eight paths to the parent.
    public var locators: [Locator] = []

    /// Whether the copy of the footer is at 0.
    public var hasFooterCopy = true
    /// Whether the footer is at the end.
    public var hasFooter = true
    /// 512, or 511 as files from before Virtual PC 2004 have it.
    public var footerLength = 512
    /// What follows the footer.
    public var junkAfterFooter: [UInt8] = []
    /// Changes to structures, once they are built.
    public var edits: [Edit] = []

    /// Starts with a sound image of this kind, without any block.
    public init(_ subtype: Subtype, size: UInt64) {
        self.subtype = subtype
        self.size = size
        disk = SparseBytes(count: size)
    }

    /// Starts with a sound image that holds `disk`: all of it if fixed, else the blocks in which something is not zero.
    public init(_ subtype: Subtype, disk: SparseBytes, blockSize: UInt32 = 0x20_0000) {
        self.init(subtype, size: disk.count)
        self.disk = disk
        self.blockSize = blockSize
        guard subtype != .fixed else { return }
        disk.forEachStoredPage { offset, _ in
            let last = min(size, offset + SparseBytes.pageSize) - 1
            for block in offset / UInt64(blockSize)...last / UInt64(blockSize) { blocks[block] = [] }
        }
    }

    /// Changes bytes of structures once they are built.
    ///
    /// - Parameter fixesChecksum: whether the checksum takes the change into account.
    public mutating func edit(
        _ structures: Structure...,
        at offset: Int,
        _ bytes: [UInt8],
        fixesChecksum: Bool = true
    ) {
        edits.append(Edit(structures: Set(structures), offset: offset, bytes: bytes, fixesChecksum: fixesChecksum))
    }

    /// Changes bytes of structures to an integer, big-endian.
    public mutating func edit(
        _ structures: Structure...,
        at offset: Int,
        _ value: some FixedWidthInteger & UnsignedInteger,
        fixesChecksum: Bool = true
    ) {
        let bytes = bigEndian(value)
        edits.append(Edit(structures: Set(structures), offset: offset, bytes: bytes, fixesChecksum: fixesChecksum))
    }

    /// What a disk shows of which this is the top layer: the present sectors, elsewhere `lower`, or zeros past its end.
    public func shown(over lower: SparseBytes? = nil) -> SparseBytes {
        if subtype == .fixed { return disk }
        var bytes = lower ?? SparseBytes(count: size)
        bytes.resize(to: size)
        for block in blocks.keys {
            for range in presentRanges(of: block) {
                bytes.store(disk[range], at: range.lowerBound, keepingHoles: true)
            }
        }
        return bytes
    }

    /// The parts of the disk that are present in a block, cut at the disk's end.
    public func presentRanges(of block: UInt64) -> [Range<UInt64>] {
        let start = block * UInt64(blockSize)
        let whole = (start..<start + UInt64(blockSize)).clamped(to: 0..<max(start, size))
        guard let present = blocks[block], !present.isEmpty else { return [whole] }
        var ranges: [Range<UInt64>] = []
        var sector = 0
        while let first = present[sector...].firstIndex(of: true) {
            sector = present[first...].firstIndex(of: false) ?? present.count
            ranges.append((start + UInt64(first) * 512..<start + UInt64(sector) * 512).clamped(to: whole))
        }
        return ranges.filter { !$0.isEmpty }
    }
}
