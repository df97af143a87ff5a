public import Platform
public import SystemPackage

/// What a tree must answer so that a server can show it.
///
/// All calls may come from many threads at once. Errors are `Errno`s, because that is all that the kernel can carry (1 to 511).
public protocol FileTree: AnyObject, Sendable {
    /// Finds a name in a directory and counts one more reference of the kernel to the node that it leads to.
    func lookup(_ name: String, in directory: NodeID) throws(Errno) -> Entry

    /// The kernel drops `count` references to a node.
    func forget(_ node: NodeID, count: UInt64)

    /// Tells about a node, through an open file if there is one.
    func attributes(of node: NodeID, file: (any OpenFile)?) throws(Errno) -> AttributeAnswer

    /// Changes attributes, or refuses to.
    ///
    /// `open(O_TRUNC)` comes as a size of 0 with no file, `ftruncate` with one.
    func change(
        _ changes: AttributeChanges,
        of node: NodeID,
        file: (any OpenFile)?,
        caller: Caller
    ) throws(Errno) -> AttributeAnswer

    /// Where a symbolic link points: a path, which need not be UTF-8, without NULs.
    func linkTarget(of node: NodeID) throws(Errno) -> [UInt8]

    /// Opens a regular file.
    func open(_ node: NodeID, mode: OpenMode, caller: Caller) throws(Errno) -> OpenedFile

    /// Takes a snapshot of a directory for one `opendir`. `.` and `..` are the server's business.
    func list(_ directory: NodeID) throws(Errno) -> any OpenDirectory

    /// Answers `statfs` for a node.
    func statistics(of node: NodeID) throws(Errno) -> FileSystemStatistics

    /// The names of a node's extended attributes, with their namespaces.
    func extendedAttributes(of node: NodeID) throws(Errno) -> [[UInt8]]

    /// The value of an extended attribute: `.noData` if there is none of that name, `.notSupported` if there can't be.
    func extendedAttribute(_ name: [UInt8], of node: NodeID) throws(Errno) -> [UInt8]

    /// What requests on a node have to wait for: a number that all have in common who wait for the same. Nil where none has to wait.
    func host(of node: NodeID) -> UInt64?

    /// The caller of a request that has waited for a host for long is about to be sent away with an error, but the request may still be carried
    /// out, and change bytes if it is `changing`. `didReturn` follows when it is over.
    func didLeave(_ host: UInt64, changing: Bool)

    /// A request that was left is over.
    func didReturn(_ host: UInt64, changing: Bool)

    /// Hands the tree the means to make the kernel forget; called once, before the first request.
    func connect(_ cache: any KernelCache)
}

extension FileTree {
    /// Most trees wait for nothing.
    public func host(of node: NodeID) -> UInt64? { nil }
    public func didLeave(_ host: UInt64, changing: Bool) {}
    public func didReturn(_ host: UInt64, changing: Bool) {}
}

/// What a directory held when it was opened. Calls may come from many threads at once.
public protocol OpenDirectory: AnyObject, Sendable {
    /// How many names there are.
    var count: Int { get }

    /// Whether the kernel may keep the listing, also for others who open the directory.
    var isLasting: Bool { get }

    /// The name of a number below `count`.
    func entry(at index: Int) -> DirectoryEntry

    /// What a look-up of that name would answer, if that costs little; nil lets the kernel ask when it wants to know.
    func lookup(at index: Int) -> Entry?
}

/// A directory of few names.
public final class ListedDirectory: OpenDirectory {
    private let entries: [DirectoryEntry]

    /// Lists these names.
    public init(_ entries: [DirectoryEntry]) {
        self.entries = entries
    }

    public var count: Int { entries.count }
    public var isLasting: Bool { false }

    public func entry(at index: Int) -> DirectoryEntry {
        entries[index]
    }

    public func lookup(at index: Int) -> Entry? { nil }
}

/// A regular file that someone has opened. One object for each `open(2)`; copies of the descriptor share it.
public protocol OpenFile: AnyObject, Sendable {
    /// Whether calls may take long and must not hold up a worker: the server then runs `write`, `flush` and `release`
    /// on threads of their own.
    var isSlow: Bool { get }

    /// Fills `buffer` with bytes from `offset` on; returns how many there were (fewer only at the end of the file).
    func read(into buffer: inout MutableRawSpan, at offset: UInt64, caller: Caller) throws(Errno) -> Int

    /// Where `count` bytes from `offset` on stand on the host, fewer at the end of the file, for a large read to be answered with; nil where they
    /// must be `read`. It holds until `release`.
    func hostBytes(at offset: UInt64, count: Int) throws(Errno) -> HostBytes?

    /// Writes bytes at `offset`; returns how many were taken.
    func write(
        _ bytes: RawSpan,
        at offset: UInt64,
        origin: WriteOrigin,
        caller: Caller,
        interruption: Interruption
    ) throws(Errno) -> Int

    /// Makes everything durable (`fsync`, `fdatasync`).
    func synchronize() throws(Errno)

    /// One copy of the descriptor is being closed.
    func flush() throws(Errno)

    /// The last copy has been closed; comes once, and nothing comes after it.
    func release()

    /// Finds the next data or hole at or behind `offset` (`lseek` with SEEK_DATA, SEEK_HOLE).
    func seek(_ what: SeekTarget, from offset: UInt64) throws(Errno) -> UInt64

    /// Answers `fallocate(2)`.
    func allocate(_ request: AllocationRequest, at offset: UInt64, count: UInt64) throws(Errno)
}

extension OpenFile {
    /// Most files must be read.
    public func hostBytes(at offset: UInt64, count: Int) throws(Errno) -> HostBytes? { nil }
}

/// How the bytes of a write and the kernel's pages of the file go together.
public enum WriteOrigin: Sendable, Hashable {
    /// A program's memory. The kernel has copied them into its pages first, of which it may have dropped and read some again since.
    case buffer
    /// A program's memory, past the pages (`O_DIRECT`). The kernel may have read the bytes that were there before.
    case direct
    /// The pages, changed through a mapping. They stay until the write is answered.
    case pages
}

/// What `lseek` looks for.
public enum SeekTarget: Sendable, Hashable {
    case data
    case hole
}

/// A freshly opened file, and how the kernel may treat it.
public struct OpenedFile {
    /// How the kernel caches the file.
    public enum Caching: Sendable, Hashable {
        /// Pages that the kernel has of this node stay.
        case keep
        /// The kernel forgets the pages that it had, and keeps those that are read from now on.
        case fresh
        /// No page cache: each `read(2)` and `write(2)` comes to us as it is.
        case direct
        /// As `direct`, for a file that is only written to: pages that others have read stay. Where `KernelCache.canWritePastPages`.
        case writesDirectly
        /// As `direct`, without a position: reads and writes of one handle don't wait for each other (`ctl`).
        case stream
        /// The kernel reads from a file of the host, byte for byte the same, and asks no more. As long as one open file of a node is so, all
        /// must be.
        case passthrough(LentFile)
    }

    /// The open file.
    public var file: any OpenFile
    /// How it is cached.
    public var caching: Caching

    /// Makes the answer to an open.
    public init(_ file: any OpenFile, caching: Caching) {
        self.file = file
        self.caching = caching
    }
}

/// A file of the host that the kernel has been lent.
public struct LentFile: RawRepresentable, Hashable, Sendable {
    /// The kernel's number for it.
    public let rawValue: Int32

    /// Makes one of a number.
    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }
}

/// Makes the kernel forget what it keeps, and lends it files.
///
/// The first two calls return when the kernel has done it, and may wait for pages that are being read: never call them from a thread that
/// answers requests.
public protocol KernelCache: AnyObject, Sendable {
    /// Drops the pages of a node in a range of bytes; the attributes too. A nil range means all of it.
    func invalidate(_ node: NodeID, range: Range<UInt64>?)
    /// Drops a name of a directory.
    func invalidate(name: String, in directory: NodeID)
    /// Whether the kernel stores what others have changed through mappings before it lets a `writesDirectly` file write.
    var canWritePastPages: Bool { get }
    /// Lends the kernel an open file to read from; nil where it can't, or we mayn't.
    func lend(_ descriptor: Int32) -> LentFile?
    /// Takes a file back. Whoever has it open reads on.
    func takeBack(_ file: LentFile)
}
