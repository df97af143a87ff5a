public import BlockDevice
public import ControlLanguage
public import Platform
internal import Synchronization
public import SystemPackage

/// How long an attachment lasts (CONTRACT.md §3.3).
public enum Lifetime: Sendable, Hashable {
    /// As long as the open file of `ctl` with this number.
    case handle(UInt64)
    /// As long as the file system is mounted.
    case fileSystem
    /// Until it is detached, across restarts.
    case permanent

    /// The word for it in `info.json`.
    public var word: String {
        switch self {
        case .handle: "handle"
        case .fileSystem: "file-system"
        case .permanent: "permanent"
        }
    }
}

/// One attached disk: what it is, who may use it, and its bytes for as long as it is attached.
///
/// Reading takes no lock. A write is counted while it runs, so that an end can wait for it.
public final class Attachment: BlockDevice {
    enum Phase: UInt8 {
        /// In use.
        case attached
        /// Its name is gone; files that are still open can be read.
        case lingering
        /// No more input or output.
        case ended
    }

    struct Activity: Sendable {
        var openFiles = 0
        var openWriters = 0
        /// Of those, the ones that may still write: they have closed no copy of their descriptor since their last write.
        var activeWriters = 0
        var writesRunning = 0
        /// Threads that make something durable; they write to the files too, behind the last write.
        var syncsRunning = 0
        /// Someone is ending it, and will say how it ends.
        var isEnding = false
        /// The end has come, and can't be taken back.
        var hasEnded = false
        /// What has been done to the locks on the files.
        var locks = LockState.held
    }

    enum LockState: Sendable {
        case held
        case shared
        case released
    }

    /// Counts attachments of this process; never used again.
    public let number: UInt64
    /// The name in `attached/`.
    public let name: AttachmentName
    /// The flags of the request.
    public let flags: AttachFlags
    /// How long it lasts.
    public let lifetime: Lifetime
    /// Who attached it.
    public let requester: Requester
    /// When, in seconds since 1970.
    public let attachedAt: Int64
    /// Who may use the files.
    public let access: DiskAccess

    let disk: OpenedDisk
    let words: AttachWords
    /// The path of the request, which may be a symbolic link.
    let requestedPath: FilePath

    let phase = Atomic<UInt8>(Phase.attached.rawValue)
    /// Bytes have been written since the image was last made complete.
    let isDirty = Atomic(false)
    /// How many writes there have been.
    private let writeCount = Atomic<UInt64>(0)
    let knownContents = Monitor(KnownContents())
    /// Requests that hang, and of which nobody waits for the answer any more.
    public let left = LeftRequests()
    /// One at a time: a close that comes while another makes the image complete must wait for that, and hear of its failure.
    let completing = Locked(())
    let activity = Monitor(Activity())

    init(
        number: UInt64,
        name: AttachmentName,
        flags: AttachFlags,
        lifetime: Lifetime,
        requester: Requester,
        attachedAt: Int64,
        access: DiskAccess,
        disk: OpenedDisk,
        words: AttachWords,
        requestedPath: FilePath
    ) {
        self.number = number
        self.name = name
        self.flags = flags
        self.lifetime = lifetime
        self.requester = requester
        self.attachedAt = attachedAt
        self.access = access
        self.disk = disk
        self.words = words
        self.requestedPath = requestedPath
    }

    /// The image file, without symbolic links.
    public var imagePath: FilePath { disk.leaf.path }
    /// Size of the disk in bytes.
    public var size: UInt64 { disk.chain.size }
    /// Whether writes are refused.
    public var isReadOnly: Bool { disk.chain.isReadOnly }
    /// Whether its files can still be opened.
    public var isAttached: Bool { phase.load(ordering: .acquiring) == Phase.attached.rawValue }
    /// Differs when the bytes of the disk do.
    public var version: UInt64 { writeCount.load(ordering: .acquiring) }
    /// How many files of it are open.
    public var openFileCount: Int { activity.update { $0.openFiles } }
    /// What a user should know of an image that has no name any more; nil as long as it has one.
    var loss: String? {
        guard disk.leaf.descriptor.isUnlinked else { return nil }
        return "\(imagePath): this image was deleted, or replaced by another file, after it was attached; "
            + "the disk is lost when it is detached, so copy attached/\(name.text)/disk before"
    }

    /// Whether it is over, or only read to its end by those who have it open; nothing brings it back.
    public var hasEnded: Bool { activity.update { $0.hasEnded } }
    /// Whether someone has it open for writing.
    public var hasOpenWriters: Bool { activity.update { $0.openWriters } > 0 }

    /// The words of the request that attached it, with the name that it got.
    public var shownWords: [Word] {
        var shown = words
        shown.name = nil
        return shown.words
    }

    // MARK: Open files

    /// Counts a file that is being opened; throws when the disk is no longer attached.
    public func didOpen(writing: Bool) throws(DiskError) {
        try activity.update { (activity) throws(DiskError) in
            guard isAttached else { throw gone() }
            activity.openFiles += 1
            if writing {
                activity.openWriters += 1
                activity.activeWriters += 1
            }
        }
    }

    /// Counts a file that has been closed for the last time.
    public func didClose(writing: Bool) {
        let lockChange = activity.update { activity in
            activity.openFiles -= 1
            if writing { activity.openWriters -= 1 }
            return settle(&activity)
        }
        change(lockChange)
    }

    /// A writer has closed a copy of its descriptor, or writes again after that.
    ///
    /// The kernel tells us of the last close (`didClose`) late, when the next program may already have come and gone. So one that closes
    /// counts as gone at once, until it writes again.
    public func writer(isActive: Bool) {
        activity.update { $0.activeWriters += isActive ? 1 : -1 }
    }

    /// Makes the image complete if nobody is left who writes.
    public func completeIfUnattended() throws(DiskError) {
        guard activity.update({ $0.activeWriters }) == 0 else { return }
        // Behind the lock may be who waits for the host.
        guard !left.areMany else { throw silence() }
        try complete()
    }

    // MARK: Input and output

    /// Fills a buffer with the disk's bytes from `offset` on.
    public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(DiskError) {
        guard canBeUsed else { throw unusable() }
        do {
            try disk.chain.read(into: &buffer, at: offset)
        } catch {
            throw later(error)
        }
    }

    /// Writes bytes at `offset`.
    public func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) {
        try change { () throws(DiskError) in try disk.chain.write(bytes, at: offset) }
    }

    /// Makes a range read as zeros.
    public func zero(_ range: Range<UInt64>) throws(DiskError) {
        try change { () throws(DiskError) in try disk.chain.zero(range) }
    }

    /// Makes all that was written durable.
    public func synchronize() throws(DiskError) {
        guard canBeUsed else { throw unusable() }
        try countingSync { () throws(DiskError) in
            do throws(DiskError) {
                try disk.chain.synchronize()
            } catch {
                throw later(error)
            }
        }
    }

    /// Whether data is stored at `offset`, and how far that reaches.
    public func allocation(at offset: UInt64, limit: UInt64) throws(DiskError) -> HostAllocation {
        guard canBeUsed else { throw unusable() }
        do {
            return try disk.chain.allocation(at: offset, limit: limit)
        } catch {
            throw later(error)
        }
    }

    public func hostBytes(of range: Range<UInt64>) throws(DiskError) -> HostBytes? {
        guard canBeUsed else { throw unusable() }
        do {
            return try disk.chain.hostBytes(of: range)
        } catch {
            throw later(error)
        }
    }

    private var canBeUsed: Bool { !isOver && !left.areMany }

    private func unusable() -> DiskError {
        isOver ? gone() : silence()
    }

    func silence() -> DiskError {
        DiskError(.silent, LeftRequests.text, path: imagePath.string)
    }

    private var isOver: Bool { phase.load(ordering: .acquiring) == Phase.ended.rawValue }

    /// What an error means now: the end closes the host's files under those who still read.
    private func later(_ error: DiskError) -> DiskError {
        isOver ? gone() : error
    }

    /// The host's file that is the disk, and that nobody writes to through us.
    public var plain: Descriptor? { disk.chain.plain }

    /// Space in use, and time of the last change.
    public func usage() throws(DiskError) -> HostUsage {
        guard canBeUsed else { throw unusable() }
        return try disk.chain.usage()
    }

    /// The answer of `ctl` when writes have turned out to be refused, for the first who asks.
    public func takeRefusalNews() -> AttachError? {
        guard let refusal = disk.writeGate.refusal, disk.writeGate.takeNews() else { return nil }
        return AttachError(refusal)
    }

    private func change(_ body: () throws(DiskError) -> Void) throws(DiskError) {
        guard isAttached else { throw gone() }
        guard left.allowsChanges else { throw silence() }
        // Before it is counted: an end does not wait for a look through a folder.
        try disk.writeGate.pass()
        try activity.update { (activity) throws(DiskError) in
            guard isAttached else { throw gone() }
            activity.writesRunning += 1
        }
        defer {
            // Behind the write: one that runs beside `complete` is not in what that made durable.
            isDirty.store(true, ordering: .releasing)
            writeCount.add(1, ordering: .acquiringAndReleasing)
            let lockChange = activity.update { activity in
                activity.writesRunning -= 1
                return settle(&activity)
            }
            change(lockChange)
        }
        try body()
    }

    private func gone() -> DiskError {
        DiskError(.gone, "\(name) has been detached", path: imagePath.string)
    }
}
