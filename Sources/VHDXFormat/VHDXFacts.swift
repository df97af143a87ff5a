public import BlockDevice
public import ByteIO

/// What a VHDX file says about itself.
public struct VHDXFacts: Sendable {
    /// The three kinds of VHDX.
    public enum DiskType: String, Sendable, CustomStringConvertible {
        /// All blocks are to stay allocated (`LeaveBlocksAllocated`).
        case fixed
        case dynamic
        case differencing

        /// The name.
        public var description: String { rawValue }
    }

    /// The kind.
    public let diskType: DiskType
    /// The program that made it, as the file identifier says; may be empty or garbage.
    public let creator: String
    /// Data bytes of a payload block.
    public let blockSize: UInt64
    /// 512 or 4096.
    public let logicalSectorSize: Int
    /// 512 or 4096; for information.
    public let physicalSectorSize: Int
    /// What the guest sees as the disk's identity (SCSI page 83); the same in parent and child.
    public let virtualDiskID: GUID
    /// What children record of their parent, as it was when the file was opened.
    public let dataWriteGUID: GUID
    /// How a differencing disk names its parent.
    public let parent: VHDXParentReference?
    /// How many entries of the log were replayed, in memory; 0 when the log was empty.
    public let replayedEntries: Int
    /// What a user should know, in words.
    public let warnings: [String]
}

/// How a differencing VHDX names its parent (formats.md §3.9).
public struct VHDXParentReference: Sendable {
    /// The DataWriteGuids that the parent may have: `parent_linkage`, and `parent_linkage2` unless it is zero.
    public let linkages: [GUID]
    /// Where it may be, in the order in which they are to be tried.
    public let paths: [ParentPath]
}
