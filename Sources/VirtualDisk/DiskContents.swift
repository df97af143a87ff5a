public import BlockDevice
public import PartitionTables
public import Volumes

/// What is on a disk: how it is divided, and what each part holds.
public struct DiskContents: Sendable {
    /// A part of the disk, or all of it, and what it holds.
    public struct Volume: Sendable {
        /// The partition's number; 0 is the whole disk.
        public var number: Int
        /// Where it lies on the disk, in bytes.
        public var range: Range<UInt64>
        /// What it holds; nil if nothing is known of it.
        public var identity: VolumeIdentity?
    }

    /// The partition table, if there is one.
    public var table: PartitionTable?
    /// What can be offered: the whole disk if it holds a file system, then the partitions, by number.
    public var volumes: [Volume] = []
    /// What is wrong, or could not be read.
    public var problems: [String] = []

    /// Nothing.
    public init() {}

    /// Looks at a disk; what can't be read becomes a problem.
    public init(of device: any BlockDevice, logicalSectorSize: Int) {
    }
}

