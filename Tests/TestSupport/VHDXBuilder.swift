/// Makes a VHDX file byte by byte as `formats.md` §3 describes it, right or damaged in a chosen way.
///
/// It shares no code with the provider: a mistake in one of them shows as a difference. The file is sparse: a disk of 64 TiB costs
/// what is stored of it.
public struct VHDXBuilder: Sendable {
    /// The disk types that can be built.
    public enum Subtype: Sendable, CaseIterable {
        case fixed, dynamic, differencing
    }

    /// The states of a payload block (§3.6). Illegal ones are made with `entryOverrides`.
    public enum State: UInt64, Sendable, CaseIterable {
        case notPresent = 0
        case undefined = 1
        case zero = 2
        case unmapped = 3
        case fullyPresent = 6
        case partiallyPresent = 7
    }

    /// A payload block.
    public struct Block: Sendable {
        /// What the table says of it.
        public var state: State
        /// For each logical sector whether it is present, if the state is 7.
        public var present: [Bool]
        /// Whether a block that is not present has a place in the file nevertheless, as states 1 and 3 may have.
        public var isAnchored: Bool
        /// Where it is put; by default behind the one before.
        public var offset: UInt64?

        /// Makes a block.
        public init(_ state: State, present: [Bool] = [], isAnchored: Bool = false, offset: UInt64? = nil) {
            self.state = state
            self.present = present
            self.isAnchored = isAnchored
            self.offset = offset
        }

        /// A block of which all sectors are present.
        public static let full = Block(.fullyPresent)
    }

    /// Which structure an edit is for. `file` counts from the start of the file, and is written last of all.
    public enum Structure: Sendable, Hashable {
        case header1, header2, regions1, regions2, metadata, file
    }

    /// A change to a structure.
    public struct Edit: Sendable {
        var structures: Set<Structure>
        var offset: UInt64
        var bytes: [UInt8]
        var fixesChecksum: Bool
    }

    /// An entry of the region tables.
    public struct Region: Sendable {
        /// 16 bytes in file order.
        public var guid: [UInt8]
        /// Where it is in the file.
        public var offset: UInt64
        /// How long it is.
        public var length: UInt32
        /// Bit 0: required.
        public var flags: UInt32

        /// Makes an entry.
        public init(guid: [UInt8], offset: UInt64, length: UInt32, flags: UInt32 = 1) {
            self.guid = guid
            self.offset = offset
            self.length = length
            self.flags = flags
        }
    }

    /// An item of the metadata region.
    public struct Item: Sendable {
        /// 16 bytes in file order.
        public var guid: [UInt8]
        /// Bit 0 user, bit 1 virtual disk, bit 2 required.
        public var flags: UInt32
        /// What it holds.
        public var bytes: [UInt8]
        /// Where it is, from the start of the region; by default behind the one before.
        public var offset: UInt32?
        /// The field "length"; by default that of the bytes.
        public var length: UInt32?

        /// Makes an item.
        public init(_ guid: [UInt8], flags: UInt32, _ bytes: [UInt8], offset: UInt32? = nil, length: UInt32? = nil) {
            self.guid = guid
            self.flags = flags
            self.bytes = bytes
            self.offset = offset
            self.length = length
        }
    }

    /// A key and a value of the parent locator.
    public struct Pair: Sendable {
        var key: String
        var value: String

        /// Makes a pair.
        public init(_ key: String, _ value: String) {
            self.key = key
            self.value = value
        }
    }

    static let mib: UInt64 = 1 << 20

    // MARK: The disk

    /// The disk type.
    public var subtype: Subtype
    /// The size of the disk in bytes.
    public var size: UInt64
    /// What the layer's own sectors hold.
    public var disk: SparseBytes
    /// The blocks that are not simply "not present".
    public var blocks: [UInt64: Block] = [:]
    /// How many data bytes a block has.
    public var blockSize: UInt32 = 32 << 20
    /// 512 or 4096.
    public var logicalSectorSize: UInt32 = 512
    /// 512 or 4096.
    public var physicalSectorSize: UInt32 = 4096
    /// The same in parent and child, 16 bytes in file order.
    public var virtualDiskID: [UInt8] = (0x10...0x1F).map { $0 }

    // MARK: Where things are

    /// The blocks in their physical order; the others follow in ascending order.
    public var order: [UInt64]?
    /// Free MiBs in front of a block.
    public var gaps: [UInt64: UInt64] = [:]
    /// Chunks that have a bitmap although none of their blocks needs one.
    public var extraBitmaps: Set<UInt64> = []
    /// Whether the bitmaps come behind all blocks, not in front of their chunk's first one.
    public var bitmapsAreLast = false
    /// Whether the bits of blocks that aren't in state 7 are ones.
    public var hasStaleBits = false
    /// What lies in free space, under clear bits, and behind the disk's end.
    public var staleByte: UInt8 = 0xA5
    /// Where the log is.
    public var logOffset: UInt64 = 1 << 20
    /// How long the log is.
    public var logLength: UInt32 = 1 << 20
    /// Where the metadata region is.
    public var metadataOffset: UInt64 = 2 << 20
    /// How long the metadata region is.
    public var metadataLength: UInt32 = 1 << 20
    /// Where the block allocation table is.
    public var tableOffset: UInt64 = 3 << 20
    /// How long the table's region is; by default as long as it must be.
    public var tableLength: UInt32?
    /// Where the first block goes; behind all regions by default.
    public var payloadOffset: UInt64?
    /// Bytes behind the last block: the file's length need not be a multiple of a MiB.
    public var surplusLength: UInt64 = 0
    /// The file's length, whatever is in it.
    public var fileLength: UInt64?

    // MARK: What the structures say

    /// The text of the file identifier.
    public var creator = "Microsoft Windows 10.0.19041.0"
    /// The sequence numbers of both headers.
    public var sequences: (UInt64, UInt64) = (7, 8)
    /// 16 bytes in file order.
    public var fileWriteGUID: [UInt8] = (0x20...0x2F).map { $0 }
    /// What children record, 16 bytes in file order.
    public var dataWriteGUID: [UInt8] = (0x30...0x3F).map { $0 }
    /// All zero if the log is empty.
    public var logGUID = [UInt8](repeating: 0, count: 16)
    /// Whether the regions are marked as required; qemu doesn't.
    public var regionsAreRequired = true
    /// Whether the table comes first in the region tables.
    public var listsTableFirst = true
    /// Regions of other programs.
    public var extraRegions: [Region] = []
    /// The items instead of the standard ones.
    public var items: [Item]?
    /// Items of other programs, and duplicates.
    public var extraItems: [Item] = []
    /// The type of the parent locator.
    public var locatorType = guidBytes("B04AEFB7-D19E-4A81-B789-25B8E9445913")
    /// Keys and values of the parent locator.
    public var parentPairs: [Pair] = []
    /// Entries of the table by their index, whatever is true.
    public var entryOverrides: [UInt64: UInt64] = [:]
    /// The log, oldest entry first.
    public var logEntries: [LogEntry] = []
    /// What is right only once the log was replayed.
    public var hiding: Hiding?
    /// Changes to structures, once they are built.
    public var edits: [Edit] = []

    /// Starts with a sound image of this kind; a fixed one has all its blocks, the others none.
    public init(_ subtype: Subtype, size: UInt64, blockSize: UInt32 = 32 << 20) {
        self.subtype = subtype
        self.size = size
        self.blockSize = blockSize
        disk = SparseBytes(count: size)
        if subtype == .fixed { for block in 0..<blockCount { blocks[block] = .full } }
    }

    /// Starts with a sound image that holds `disk`: all of it if fixed, else the blocks in which something is stored.
    public init(_ subtype: Subtype, disk: SparseBytes, blockSize: UInt32 = 32 << 20) {
        self.init(subtype, size: disk.count, blockSize: blockSize)
        self.disk = disk
        disk.forEachStoredPage { offset, _ in blocks[offset / UInt64(blockSize)] = .full }
    }

    /// Changes bytes of structures once they are built.
    ///
    /// - Parameter fixesChecksum: whether the checksum takes the change into account.
    public mutating func edit(
        _ structures: Structure...,
        at offset: UInt64,
        _ bytes: [UInt8],
        fixesChecksum: Bool = true
    ) {
        edits.append(Edit(structures: Set(structures), offset: offset, bytes: bytes, fixesChecksum: fixesChecksum))
    }

    /// Changes bytes of structures to an integer, little-endian.
    public mutating func edit(
        _ structures: Structure...,
        at offset: UInt64,
        _ value: some FixedWidthInteger & UnsignedInteger,
        fixesChecksum: Bool = true
    ) {
        let bytes = littleEndian(value)
        edits.append(Edit(structures: Set(structures), offset: offset, bytes: bytes, fixesChecksum: fixesChecksum))
    }

    /// Makes this the child of `parent`: what is recorded of it, as Hyper-V writes it, and a name of its file.
    public mutating func setParent(_ parent: VHDXBuilder, file: String) {
        subtype = .differencing
        virtualDiskID = parent.virtualDiskID
        parentPairs = [
            Pair("parent_linkage", "{\(guidText(parent.dataWriteGUID).lowercased())}"),
            Pair("parent_linkage2", "{00000000-0000-0000-0000-000000000000}"),
            Pair("relative_path", ".\\\(file)"),
            Pair("absolute_win32_path", "C:\\images\\\(file)"),
        ]
    }
}
