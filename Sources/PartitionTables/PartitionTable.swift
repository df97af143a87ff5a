/// How a disk is divided.
public struct PartitionTable: Sendable, Hashable {
    /// What kind of table it is.
    public enum Kind: String, Sendable, Hashable {
        /// Master boot record.
        case mbr = "dos"
        /// GUID partition table.
        case gpt
    }

    /// What kind of table it is.
    public var kind: Kind
    /// The disk's GUID, or the signature of the master boot record, as `sfdisk` writes it.
    public var identifier: String?
    /// Bytes of a sector, as the table counts.
    public var sectorSize: Int
    /// The partitions, in the order of their numbers, with those that can't be offered.
    public var partitions: [Partition]
    /// What is wrong with the table as a whole (a damaged primary header, a chain of logical partitions that loops …).
    public var problems: [String]

    /// Makes a table.
    public init(
        kind: Kind,
        identifier: String? = nil,
        sectorSize: Int,
        partitions: [Partition],
        problems: [String] = []
    ) {
        self.kind = kind
        self.identifier = identifier
        self.sectorSize = sectorSize
        self.partitions = partitions
        self.problems = problems
    }
}

/// One partition.
public struct Partition: Sendable, Hashable {
    /// Its number, as Linux counts: entries of the table from 1 on, logical partitions from 5 on.
    public var number: Int
    /// Where it lies on the disk, in bytes.
    public var range: Range<UInt64>
    /// The type: two hexadecimal digits at most, or a GUID, as `sfdisk` writes it.
    public var type: String
    /// What the type means, in words; nil if it isn't known.
    public var typeName: String?
    /// The name in a GPT.
    public var name: String?
    /// The partition's own GUID.
    public var guid: String?
    /// Why it is not offered: it overlaps another one, lies past the end …; nil if it is offered.
    public var problem: String?

    /// Makes a partition.
    public init(
        number: Int,
        range: Range<UInt64>,
        type: String,
        typeName: String? = nil,
        name: String? = nil,
        guid: String? = nil,
        problem: String? = nil
    ) {
        self.number = number
        self.range = range
        self.type = type
        self.typeName = typeName
        self.name = name
        self.guid = guid
        self.problem = problem
    }
}
