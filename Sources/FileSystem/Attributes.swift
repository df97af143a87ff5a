/// What kind of object a node is.
public enum NodeKind: Sendable, Hashable {
    case directory
    case regular
    case symbolicLink
    case characterDevice
    case blockDevice
    case fifo
    case socket
}

/// The numbers of a device.
public struct DeviceNumber: Sendable, Hashable {
    /// The major number.
    public var major: UInt32
    /// The minor number.
    public var minor: UInt32

    /// Makes a number.
    public init(major: UInt32, minor: UInt32) {
        self.major = major
        self.minor = minor
    }
}

/// A point in time, as `stat` reports it.
public struct Timestamp: Sendable, Hashable {
    /// Seconds since 1970-01-01 00:00:00 UTC.
    public var seconds: Int64
    /// Nanoseconds within the second, 0 to 999,999,999.
    public var nanoseconds: Int64

    /// Makes a point in time.
    public init(seconds: Int64, nanoseconds: Int64 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }
}

/// What `stat` tells about a node.
public struct Attributes: Sendable, Hashable {
    /// The inode number that programs see (it may be the same for several nodes, as for `ctl`).
    public var inode: UInt64
    /// What the node is.
    public var kind: NodeKind
    /// Permission bits, without the file type.
    public var permissions: UInt16
    /// Number of hard links.
    public var linkCount: UInt32
    /// The owner's user id.
    public var owner: UInt32
    /// The group's id.
    public var group: UInt32
    /// The size in bytes.
    public var size: UInt64
    /// Bytes that the object really uses where it is stored.
    public var allocatedBytes: UInt64
    /// The time of the last change of the content.
    public var modified: Timestamp
    /// The time of the last read; nil where it is `modified`.
    public var accessed: Timestamp?
    /// The time of the last change of the attributes; nil where it is `modified`.
    public var changed: Timestamp?
    /// The numbers of a device, if it is one.
    public var device: DeviceNumber?
    /// Differs when the node's number is another object's: whoever has the first one open gets errors then, never bytes of the other.
    public var generation: UInt64 = 0

    /// Makes the attributes of one node.
    public init(
        inode: UInt64,
        kind: NodeKind,
        permissions: UInt16,
        linkCount: UInt32 = 1,
        owner: UInt32,
        group: UInt32,
        size: UInt64 = 0,
        allocatedBytes: UInt64 = 0,
        modified: Timestamp,
        accessed: Timestamp? = nil,
        changed: Timestamp? = nil,
        device: DeviceNumber? = nil
    ) {
        self.inode = inode
        self.kind = kind
        self.permissions = permissions
        self.linkCount = linkCount
        self.owner = owner
        self.group = group
        self.size = size
        self.allocatedBytes = allocatedBytes
        self.modified = modified
        self.accessed = accessed
        self.changed = changed
        self.device = device
    }
}

/// Attributes, and for how long the kernel may believe them.
public struct AttributeAnswer: Sendable {
    /// The attributes.
    public var attributes: Attributes
    /// Seconds for which the kernel may answer `stat` from them.
    public var validity: Double

    /// Makes an answer.
    public init(_ attributes: Attributes, validity: Double) {
        self.attributes = attributes
        self.validity = validity
    }
}

/// A name that was found in a directory.
public struct Entry: Sendable {
    /// The object behind the name.
    public var node: NodeID
    /// The object's attributes.
    public var answer: AttributeAnswer
    /// Seconds for which the kernel may believe that the name leads to this node; 0 asks again at each use.
    public var nameValidity: Double

    /// Makes an entry.
    public init(node: NodeID, answer: AttributeAnswer, nameValidity: Double) {
        self.node = node
        self.answer = answer
        self.nameValidity = nameValidity
    }
}

/// One line of a directory listing.
public struct DirectoryEntry: Sendable, Hashable {
    /// The name, without a slash or a NUL.
    public var name: String
    /// The inode number.
    public var inode: UInt64
    /// What the object is.
    public var kind: NodeKind

    /// Makes a line of a listing.
    public init(name: String, inode: UInt64, kind: NodeKind) {
        self.name = name
        self.inode = inode
        self.kind = kind
    }
}

/// What a caller wants to change with `chmod`, `chown`, `truncate`, `utimens` or `open(O_TRUNC)`; absent means "leave it".
public struct AttributeChanges: Sendable {
    /// New permission bits.
    public var permissions: UInt16?
    /// New owner.
    public var owner: UInt32?
    /// New group.
    public var group: UInt32?
    /// New size in bytes.
    public var size: UInt64?
    /// Whether any time is to be set.
    public var times: Bool

    /// Makes a set of changes.
    public init(
        permissions: UInt16? = nil,
        owner: UInt32? = nil,
        group: UInt32? = nil,
        size: UInt64? = nil,
        times: Bool = false
    ) {
        self.permissions = permissions
        self.owner = owner
        self.group = group
        self.size = size
        self.times = times
    }
}

/// What `statfs` tells about the part of the tree that a node belongs to.
public struct FileSystemStatistics: Sendable {
    /// Bytes in all.
    public var totalBytes: UInt64
    /// Bytes that nothing uses.
    public var freeBytes: UInt64
    /// Bytes of a block, as the sizes are counted in.
    public var blockSize: UInt32
    /// Number of objects.
    public var nodes: UInt64

    /// Makes the statistics.
    public init(totalBytes: UInt64 = 0, freeBytes: UInt64 = 0, blockSize: UInt32 = 4096, nodes: UInt64 = 0) {
        self.totalBytes = totalBytes
        self.freeBytes = freeBytes
        self.blockSize = blockSize
        self.nodes = nodes
    }
}
