public import FileSystem

/// What a volume tells about one of its files or folders.
public struct FileAttributes: Sendable, Hashable {
    /// What it is.
    public var kind: NodeKind
    /// The size of the content in bytes; for a symbolic link, of the target as the volume stores it.
    public var size: UInt64
    /// Bytes of the volume that it uses.
    public var allocatedBytes: UInt64
    /// Number of names (hard links) that it has.
    public var linkCount: UInt32
    /// Permission bits, with set-uid, set-gid and sticky; nil where the file system has none.
    public var permissions: UInt16?
    /// The owner's user id; nil where the file system has none.
    public var owner: UInt32?
    /// The group's id; nil where the file system has none.
    public var group: UInt32?
    /// When the content was changed last.
    public var modified: Timestamp
    /// When it was read last; `modified` where the file system does not tell.
    public var accessed: Timestamp
    /// When the attributes were changed last; `modified` where the file system does not tell.
    public var changed: Timestamp
    /// The device's numbers, if it is a device.
    public var device: DeviceNumber?
    /// A number that differs when the file's place in the volume (its `FileID`) is another file's, as far as the file system tells.
    public var generation: UInt64

    /// Makes attributes.
    public init(
        kind: NodeKind,
        size: UInt64,
        allocatedBytes: UInt64,
        linkCount: UInt32 = 1,
        permissions: UInt16? = nil,
        owner: UInt32? = nil,
        group: UInt32? = nil,
        modified: Timestamp,
        accessed: Timestamp? = nil,
        changed: Timestamp? = nil,
        device: DeviceNumber? = nil,
        generation: UInt64 = 0
    ) {
        self.kind = kind
        self.size = size
        self.allocatedBytes = allocatedBytes
        self.linkCount = linkCount
        self.permissions = permissions
        self.owner = owner
        self.group = group
        self.modified = modified
        self.accessed = accessed ?? modified
        self.changed = changed ?? modified
        self.device = device
        self.generation = generation
    }
}
