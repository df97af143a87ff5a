public import FileSystem

/// What a folder of a volume holds: all its names, without `.` and `..`. Immutable; one look at a folder serves every later look-up in it.
///
/// Names are bytes as the file system means them: UTF-8 where it stores Unicode, else what is there. They may be anything that a hostile image
/// holds; how they are shown is the tree's business (`ShownName`).
public struct Folder: Sendable {
    /// One name.
    public struct Entry: Sendable {
        /// Where the name stands in `names`.
        var nameStart: UInt32
        var nameCount: UInt16
        /// What the object is, as far as the folder tells.
        public var kind: NodeKind
        /// Reachable by its name, but not listed (the system files of NTFS).
        public var isHidden: Bool
        /// The object.
        public var file: FileID
        /// Its attributes, where they came with the name for nothing.
        public var attributes: FileAttributes?
    }

    /// The folder that this one lies in; nil for the root.
    public var parent: FileID?
    /// The names, in the order of the volume.
    public private(set) var entries: [Entry] = []
    private var names: [UInt8] = []

    /// Makes an empty folder.
    public init(parent: FileID?) {
        self.parent = parent
    }

    /// Adds a name.
    ///
    /// Throws `.limit` when the folder is too large to be kept, and `.damaged` when the identity is none.
    public mutating func append(
        name: some Collection<UInt8>,
        file: FileID,
        kind: NodeKind,
        attributes: FileAttributes? = nil,
        isHidden: Bool = false
    ) throws(VolumeError) {
        guard file.isValid else { throw VolumeError(.damaged, "an entry names file \(file.rawValue), which can't be") }
        guard let start = UInt32(exactly: names.count), let count = UInt16(exactly: name.count),
            entries.count < Self.maximumCount, names.count <= Self.nameBytesLimit
        else { throw VolumeError(.limit, "a folder has more than \(Self.maximumCount) names, or too long ones") }
        names.append(contentsOf: name)
        entries.append(
            Entry(
                nameStart: start,
                nameCount: count,
                kind: kind,
                isHidden: isHidden,
                file: file,
                attributes: attributes
            )
        )
    }

    /// The bytes of a name.
    public func name(of entry: Entry) -> ArraySlice<UInt8> {
        let start = Int(entry.nameStart)
        guard start + Int(entry.nameCount) <= names.count else { return [] }
        return names[start..<start + Int(entry.nameCount)]
    }

    /// Bytes of memory that it takes, about.
    public var footprint: Int {
        entries.capacity * MemoryLayout<Entry>.stride + names.capacity
    }

    /// The most names that a folder may have.
    public static let maximumCount = 1_000_000
    /// The most bytes that all its names may have; Linux shows none of more than 255 bytes.
    private static let nameBytesLimit = 255 * maximumCount
}
