/// What is on a volume, as far as its first blocks (and a few others) tell: a file system, or something else that has a name.
public struct VolumeIdentity: Sendable, Hashable {
    /// What it is, named as `blkid` names it: `ntfs`, `vfat`, `exfat`, `ext4`, `iso9660`, `udf`, `hfsplus`, `BitLocker`, `crypto_LUKS`, `LVM2_member` …
    public var type: String
    /// The volume's label; nil if it has none.
    public var label: String?
    /// The volume's identifier, written as `blkid` writes it; nil if it has none.
    public var uuid: String?
    /// What a user should know: `dirty`, `needs recovery` … ; empty if it is clean or unknown.
    public var states: [String]
    /// Who shows its files.
    public var reader: Reader
    /// For what isn't shown: the one-line recipe to open it by other means, with `FILE` for the path of `pN`.
    public var recipe: String?
    /// Whether its signature stands behind the first sector, so that a partition table may stand before it.
    public var leavesFirstSector: Bool

    /// Who shows the files of a volume.
    public enum Reader: Sendable, Hashable {
        /// Nobody here.
        case none
        case iso9660
        case udf
        /// ISO 9660 and UDF on one disc: the UDF side if the other is only a stub.
        case bridge
        /// libtsk, in a process of its own.
        case process(ProcessFileSystem)
    }

    /// Makes an identity.
    public init(
        type: String,
        label: String? = nil,
        uuid: String? = nil,
        states: [String] = [],
        reader: Reader = .none,
        recipe: String? = nil,
        leavesFirstSector: Bool = false
    ) {
        self.type = type
        self.label = label
        self.uuid = uuid
        self.states = states
        self.reader = reader
        self.recipe = recipe
        self.leavesFirstSector = leavesFirstSector
    }
}

/// The file systems that `vhdfs-volume` reads.
public enum ProcessFileSystem: UInt32, Sendable, Hashable, CaseIterable {
    case ntfs = 1
    /// ext2, ext3 and ext4.
    case ext
    /// FAT12, FAT16 and FAT32.
    case fat
    case exfat
    case hfsPlus
}
