internal import ControlLanguage
public import FileSystem
internal import Glibc
public import Logging
internal import Platform
internal import Synchronization
public import SystemPackage
public import VirtualDisk

/// The tree of CONTRACT.md §1: `ctl`, and a folder for each attached disk.
public final class DiskTree: FileTree {
    let table: AttachmentTable
    let control: ControlDesk
    private let log: Logger
    private let mountedAt = Timestamp(seconds: Int64(time(nil)))
    private let controlSerial = Atomic<UInt64>(0)
    private let kernel = Locked<(any KernelCache)?>(nil)
    /// Disks by number: those attached, and those that have ended with files still open.
    private let disks = Locked<[UInt64: Attachment]>([:])

    /// Shows a table of attachments.
    public init(_ table: AttachmentTable, log: Logger) {
        self.table = table
        self.log = log
        control = ControlDesk(table, log: log)
        table.setObserver(self)
    }

    public func connect(_ cache: any KernelCache) {
        kernel.withLock { $0 = cache }
    }

    // MARK: Names

    public func lookup(_ name: String, in directory: NodeID) throws(Errno) -> Entry {
        switch Place(directory) {
        case .root:
            switch name {
            case "ctl":
                let serial = controlSerial.add(1, ordering: .relaxed).newValue
                return Entry(node: Place.control.node(serial: serial), answer: try answer(.control), nameValidity: 0)
            case "attached": return try entry(.attachedFolder, nameValidity: Self.long)
            default: throw .noSuchFileOrDirectory
            }
        case .attachedFolder:
            guard let name = AttachmentName(name), let attachment = table.attachment(named: name) else {
                throw .noSuchFileOrDirectory
            }
            disks.withLock { $0[attachment.number] = attachment }
            guard attachment.isAttached else {
                dropIfUnused(attachment)
                throw .noSuchFileOrDirectory
            }
            // The name may end at any time and come back as another disk: ask at each use.
            return try entry(.disk(attachment: attachment.number, .folder), nameValidity: 0)
        case .disk(let number, .folder):
            guard let item = DiskItem.allCases.first(where: { $0.name == name }) else { throw .noSuchFileOrDirectory }
            return try entry(.disk(attachment: number, item), nameValidity: Self.long)
        default:
            throw .notDirectory
        }
    }

    public func forget(_ node: NodeID, count: UInt64) {}

    public func list(_ directory: NodeID) throws(Errno) -> [DirectoryEntry] {
        switch Place(directory) {
        case .root:
            return [
                DirectoryEntry(name: "ctl", inode: Place.control.inode, kind: .regular),
                DirectoryEntry(name: "attached", inode: Place.attachedFolder.inode, kind: .directory),
            ]
        case .attachedFolder:
            return table.attachments.map { attachment in
                DirectoryEntry(
                    name: attachment.name.text,
                    inode: Place.disk(attachment: attachment.number, .folder).inode,
                    kind: .directory
                )
            }
        case .disk(let number, .folder):
            return DiskItem.allCases.compactMap { item in
                item.name.map { name in
                    DirectoryEntry(name: name, inode: Place.disk(attachment: number, item).inode, kind: item.kind)
                }
            }
        default:
            throw .notDirectory
        }
    }

    public func linkTarget(of node: NodeID) throws(Errno) -> [UInt8] {
        guard case .disk(let number, .image) = Place(node) else { throw .invalidArgument }
        return try attachment(number).imagePath.bytes
    }

    // MARK: Attributes

    static let long = 60.0

    public func attributes(of node: NodeID, file: (any OpenFile)?) throws(Errno) -> AttributeAnswer {
        guard let place = Place(node) else { throw .noSuchFileOrDirectory }
        return try answer(place)
    }

    public func change(
        _ changes: AttributeChanges,
        of node: NodeID,
        file: (any OpenFile)?,
        caller: Caller
    ) throws(Errno) -> AttributeAnswer {
        guard let place = Place(node) else { throw .noSuchFileOrDirectory }
        guard changes.permissions == nil, changes.owner == nil, changes.group == nil else { throw .notPermitted }
        if let size = changes.size { try checkSize(size, place, file) }
        return try answer(place)
    }

    /// A disk is as long as it is; `open(O_TRUNC)` is passed over as on a block device.
    private func checkSize(_ size: UInt64, _ place: Place, _ file: (any OpenFile)?) throws(Errno) {
        switch place {
        case .control:
            return
        case .disk(let number, .disk):
            let attachment = try attachment(number)
            if size == attachment.size { return }
            // `open` with O_TRUNC comes as a size of 0 without a file, when the file is open already; `truncate(2)` looks the same, but
            // nobody need have the disk open for writing.
            if size == 0, file == nil, attachment.hasOpenWriters { return }
            throw .notPermitted
        default:
            throw .notPermitted
        }
    }

    private func entry(_ place: Place, nameValidity: Double) throws(Errno) -> Entry {
        Entry(node: place.node(), answer: try answer(place), nameValidity: nameValidity)
    }

    private func answer(_ place: Place) throws(Errno) -> AttributeAnswer {
        let policy = table.configuration.policy
        func folder(_ permissions: UInt16, links: Int) -> Attributes {
            Attributes(
                inode: place.inode,
                kind: .directory,
                permissions: permissions,
                linkCount: UInt32(clamping: links),
                owner: policy.mountingUser,
                group: getgid(),
                modified: mountedAt
            )
        }
        switch place {
        case .root:
            return AttributeAnswer(folder(0o755, links: 3), validity: Self.long)
        case .attachedFolder:
            return AttributeAnswer(folder(0o755, links: 2 + table.attachments.count), validity: 0)
        case .control:
            var attributes = folder(0o666, links: 1)
            attributes.kind = .regular
            return AttributeAnswer(attributes, validity: 0)
        case .disk(let number, let item):
            return try attachment(number).answer(item, place)
        }
    }

    func attachment(_ number: UInt64) throws(Errno) -> Attachment {
        guard let found = disks.withLock({ $0[number] }) else { throw .noSuchFileOrDirectory }
        return found
    }

    // MARK: Opening

    public func open(_ node: NodeID, mode: OpenMode, caller: Caller) throws(Errno) -> OpenedFile {
        switch Place(node) {
        case .control:
            guard mode.writes else {
                return OpenedFile(TextFile(control.snapshot(for: caller.user)), caching: .direct)
            }
            return OpenedFile(ControlFile(control, mode: mode, opener: caller), caching: .stream)
        case .disk(let number, let item):
            let attachment = try attachment(number)
            switch item {
            case .disk: return OpenedFile(try DiskFile(attachment, mode: mode, tree: self, log: log), caching: .keep)
            case .info: return OpenedFile(TextFile(attachment.facts.text), caching: .direct)
            case .infoJSON: return OpenedFile(TextFile(attachment.facts.json), caching: .direct)
            case .folder: throw .isDirectory
            case .image: throw .invalidArgument
            }
        case .root, .attachedFolder: throw .isDirectory
        case nil: throw .noSuchFileOrDirectory
        }
    }

    public func statistics() -> FileSystemStatistics {
        let attachments = table.attachments
        return FileSystemStatistics(
            totalBytes: attachments.reduce(0) { $0 &+ $1.size },
            nodes: UInt64(3 + attachments.count * DiskItem.allCases.count)
        )
    }
}

// MARK: - Ends

extension DiskTree: AttachmentTable.Observer {
    /// How long an end waits for the kernel to forget. It may have to wait for pages that a hung image does not deliver.
    private static let patience = Duration.seconds(2)

    public func didEnd(_ attachment: Attachment, isForced: Bool) {
        dropIfUnused(attachment)
        guard let kernel = kernel.withLock({ $0 }) else { return }
        let isDone = Monitor(false)
        // Not the attachment itself: its files are to be closed now, even if the kernel takes its time.
        let (name, disk) = (attachment.name.text, Place.disk(attachment: attachment.number, .disk).node())
        startThread("forget") {
            kernel.invalidate(name: name, in: Place.attachedFolder.node())
            if isForced { kernel.invalidate(disk, range: nil) }
            isDone.update { $0 = true }
        }
        let _: Bool? = isDone.wait(timeout: Self.patience) { $0 ? true : nil }
    }

    /// Lets go of a disk that has ended and of which nothing is open.
    func dropIfUnused(_ attachment: Attachment) {
        guard !attachment.isAttached, attachment.openFileCount == 0 else { return }
        _ = disks.withLock { $0.removeValue(forKey: attachment.number) }
    }
}
