internal import FileSystem
internal import Glibc
internal import Platform
internal import Synchronization
internal import SystemPackage

/// What the operations work on: the tree, and what is open of it.
final class Server: Sendable {
    /// Whose files these are.
    let tree: any FileTree
    /// The files that are open.
    let files = HandleTable<FileHandle>()
    /// The directories that are open.
    let directories = HandleTable<DirectoryHandle>()
    /// Who is at work, slow requests included.
    let activity: Activity
    /// The largest read, in bytes.
    let readLimit: Int
    /// What the kernel and we have agreed on.
    let agreement: Agreement
    private let deviceNumber = Atomic<Int32>(-1)
    /// Whether the kernel has said INIT.
    let isInitialized = Atomic(false)

    init(tree: any FileTree, activity: Activity, readLimit: Int, lendsFiles: Bool) {
        self.tree = tree
        self.activity = activity
        self.readLimit = readLimit
        // Only root may hand files to the kernel.
        agreement = Agreement(wantsPassthrough: lendsFiles && geteuid() == 0)
    }

    /// The descriptor of `/dev/fuse`.
    var device: Int32 {
        get { deviceNumber.load(ordering: .relaxed) }
        set { deviceNumber.store(newValue, ordering: .relaxed) }
    }

    /// What is open under a number of the kernel's.
    func openObject(_ number: UInt64) -> (any AnyObject & Sendable)? {
        files.object(number) ?? directories.object(number)
    }

    /// Releases what the kernel has left open: at an unmount it doesn't wait for its RELEASEs, and a dead session sends none.
    private func releaseAll() {
        for handle in files.removeAll() { handle.file.release() }
        _ = directories.removeAll()
    }

    /// The last worker or slow request has left.
    func end() {
        releaseAll()
        activity.markEnded()
    }
}

/// A file that is open.
final class FileHandle: Sendable {
    let file: any OpenFile
    let isSlow: Bool

    init(_ file: any OpenFile) {
        self.file = file
        isSlow = file.isSlow
    }
}

/// A directory that is open.
final class DirectoryHandle: Sendable {
    private let inode: UInt64
    private let state: Locked<(listing: Listing, hasBegun: Bool)>

    init(_ content: any OpenDirectory, inode: UInt64) {
        self.inode = inode
        state = Locked((Listing(content, inode: inode), false))
    }

    var isLasting: Bool { state.withLock { $0.listing.isLasting } }

    /// What a read from `index` on sees: what the directory held when it was opened, or rewound since; then `list` tells what that is.
    func listing(from index: Int, list: () throws(Errno) -> any OpenDirectory) throws(Errno) -> Listing {
        let (known, isRewound) = state.withLock { state in
            defer { state.hasBegun = true }
            return (state.listing, index == 0 && state.hasBegun && !state.listing.isLasting)
        }
        guard isRewound else { return known }
        let new = Listing(try list(), inode: inode)
        state.withLock { $0.listing = new }
        return new
    }
}

/// What a directory holds, behind its own two names.
struct Listing: Sendable {
    private let own: [DirectoryEntry]
    private let content: any OpenDirectory

    init(_ content: any OpenDirectory, inode: UInt64) {
        own = [
            DirectoryEntry(name: ".", inode: inode, kind: .directory),
            DirectoryEntry(name: "..", inode: Self.unknownInode, kind: .directory),
        ]
        self.content = content
    }

    var isLasting: Bool { content.isLasting }
    var count: Int { own.count + content.count }

    func entry(at index: Int) -> DirectoryEntry {
        index < own.count ? own[index] : content.entry(at: index - own.count)
    }

    func lookup(at index: Int) -> Entry? {
        index < own.count ? nil : content.lookup(at: index - own.count)
    }

    /// The inode number of `..`, which a directory doesn't know: libfuse's own value for it. Programs that care use `stat`.
    private static let unknownInode: UInt64 = 0xFFFF_FFFF
}
