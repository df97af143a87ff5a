internal import ControlLanguage
public import FileSystem
internal import Glibc
public import Logging
internal import Platform
internal import Synchronization
public import SystemPackage
public import VirtualDisk
public import VolumeTree

/// The tree of CONTRACT.md §1: `ctl`, and for each attached disk a folder of raw files and one of its volumes.
public final class DiskTree: FileTree {
    let table: AttachmentTable
    let control: ControlDesk
    let volumeOptions: VolumeOptions
    private let log: Logger
    private let mountedAt = Timestamp(seconds: Int64(time(nil)))
    private let controlSerial = Atomic<UInt64>(0)
    private let kernel = Locked<(any KernelCache)?>(nil)
    /// Disks by number: those attached, and those that have ended with files still open.
    private let disks = Locked<[UInt64: ShownDisk]>([:])
    let volumes = Locked(VolumeNumbers())

    /// Shows a table of attachments.
    public init(_ table: AttachmentTable, volumes options: VolumeOptions, log: Logger) {
        self.table = table
        self.log = log
        volumeOptions = options
        control = ControlDesk(table, log: log)
        table.setObserver(self)
    }

    public func connect(_ cache: any KernelCache) {
        kernel.withLock { $0 = cache }
    }

    /// Makes the kernel forget; nil before the first request.
    var kernelCache: (any KernelCache)? { kernel.withLock { $0 } }

    // MARK: Names

    public func lookup(_ name: String, in directory: NodeID) throws(Errno) -> Entry {
        switch Place(directory) {
        case .root:
            switch name {
            case "ctl":
                let serial = controlSerial.add(1, ordering: .relaxed).newValue
                return Entry(node: Place.control.node(serial: serial), answer: try answer(.control), nameValidity: 0)
            case "attached": return try entry(.attachedFolder, nameValidity: Self.long)
            case "mounts": return try entry(.mountsFolder, nameValidity: Self.long)
            default: throw .noSuchFileOrDirectory
            }
        case .attachedFolder: return try lookupDisk(name, .folder)
        case .mountsFolder: return try lookupDisk(name, .volumes)
        case .disk(let number, let item): return try lookup(name, in: item, of: try disk(number))
        case .file(let number, let folder): return try lookup(name, in: folder, of: try volume(number))
        default: throw .notDirectory
        }
    }

    /// Finds the folder of a disk. The name may end at any time and come back as another disk: the kernel is told then, and else asks soon.
    private func lookupDisk(_ name: String, _ item: DiskItem) throws(Errno) -> Entry {
        guard let name = AttachmentName(name), let attachment = table.attachment(named: name) else {
            throw .noSuchFileOrDirectory
        }
        let disk = disks.withLock { disks in
            let disk = disks[attachment.number] ?? ShownDisk(attachment)
            disks[attachment.number] = disk
            return disk
        }
        guard attachment.isAttached, item == .folder || disk.hasVolumes else {
            dropIfUnused(disk)
            throw .noSuchFileOrDirectory
        }
        return try entry(.disk(attachment: attachment.number, item), nameValidity: 1)
    }

    private func lookup(_ name: String, in item: DiskItem, of disk: ShownDisk) throws(Errno) -> Entry {
        let number = disk.attachment.number
        // Who writes to a disk may divide it anew.
        let validity = disk.attachment.isReadOnly ? Self.long : 0
        switch item {
        case .folder:
            if let item = DiskItem.fixed.first(where: { $0.name == name }) {
                return try entry(.disk(attachment: number, item), nameValidity: Self.long)
            }
            let found = try Self.numbered(name, in: disk.partitions)
            return try entry(.disk(attachment: number, .partition(slot: found)), nameValidity: validity)
        case .volumes:
            let found = try Self.numbered(name, in: disk.volumes)
            return try entry(.disk(attachment: number, .volume(slot: found)), nameValidity: validity)
        case .volume(let slot): return try lookup(name, in: nil, of: try volume(in: slot, of: disk))
        default: throw .notDirectory
        }
    }

    private static func numbered(_ name: String, in list: [(slot: Int, number: Int)]) throws(Errno) -> Int {
        guard let found = list.first(where: { "p\($0.number)" == name }) else { throw .noSuchFileOrDirectory }
        return found.slot
    }

    public func forget(_ node: NodeID, count: UInt64) {}

    public func list(_ directory: NodeID) throws(Errno) -> any OpenDirectory {
        switch Place(directory) {
        case .root:
            return ListedDirectory([
                DirectoryEntry(name: "ctl", inode: Place.control.inode, kind: .regular),
                DirectoryEntry(name: "attached", inode: Place.attachedFolder.inode, kind: .directory),
                DirectoryEntry(name: "mounts", inode: Place.mountsFolder.inode, kind: .directory),
            ])
        case .attachedFolder: return ListedDirectory(table.attachments.map { Self.line($0.name.text, .folder, $0) })
        case .mountsFolder:
            let shown = table.attachments.filter { ShownDisk($0).hasVolumes }
            return ListedDirectory(shown.map { Self.line($0.name.text, .volumes, $0) })
        case .disk(let number, let item): return try list(item, of: try disk(number))
        case .file(let number, let folder): return try list(folder, of: try volume(number))
        default: throw .notDirectory
        }
    }

    private func list(_ item: DiskItem, of disk: ShownDisk) throws(Errno) -> any OpenDirectory {
        let attachment = disk.attachment
        switch item {
        case .folder:
            let fixed = DiskItem.fixed.compactMap { item in item.name.map { Self.line($0, item, attachment) } }
            let partitions = disk.partitions.map { Self.line("p\($0.number)", .partition(slot: $0.slot), attachment) }
            return ListedDirectory(fixed + partitions)
        case .volumes:
            return ListedDirectory(disk.volumes.map { Self.line("p\($0.number)", .volume(slot: $0.slot), attachment) })
        case .volume(let slot): return try list(nil, of: try volume(in: slot, of: disk))
        default: throw .notDirectory
        }
    }

    private static func line(_ name: String, _ item: DiskItem, _ attachment: Attachment) -> DirectoryEntry {
        let place = Place.disk(attachment: attachment.number, item)
        return DirectoryEntry(name: name, inode: place.inode, kind: item.kind)
    }

    public func linkTarget(of node: NodeID) throws(Errno) -> [UInt8] {
        switch Place(node) {
        case .disk(let number, .image): return try disk(number).attachment.imagePath.bytes
        case .file(let number, let file): return try volume(number).volume.linkTarget(of: file)
        default: throw .invalidArgument
        }
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
        if case .file = place { throw .readOnlyFileSystem }
        guard changes.permissions == nil, changes.owner == nil, changes.group == nil else { throw .notPermitted }
        if let size = changes.size { try change(size, of: place, node, file, caller) }
        return try answer(place)
    }

    /// A disk is as long as it is; `open(O_TRUNC)` cuts nothing off, as on a block device.
    private func change(
        _ size: UInt64,
        of place: Place,
        _ node: NodeID,
        _ file: (any OpenFile)?,
        _ caller: Caller
    ) throws(Errno) {
        switch place {
        case .control:
            return
        case .disk(let number, let item) where item.kind == .regular && item != .info && item != .infoJSON:
            let disk = try disk(number)
            if size == bytes(item, of: disk).map({ $0.upperBound - $0.lowerBound }) {
                try (file as? DiskFile)?.didExtend()
                return
            }
            // `open` with O_TRUNC comes as a size of 0 without a file, when the file is open already; `truncate(2)` looks the same, but
            // nobody need have the disk open for writing.
            if size == 0, file == nil, disk.attachment.hasOpenWriters {
                disk.truncatedWriter(node, openedBy: caller.thread)?.didTruncate()
                return
            }
            throw .notPermitted
        default:
            throw .notPermitted
        }
    }

    func entry(_ place: Place, nameValidity: Double) throws(Errno) -> Entry {
        Entry(node: place.node(), answer: try answer(place), nameValidity: nameValidity)
    }

    private func answer(_ place: Place) throws(Errno) -> AttributeAnswer {
        switch place {
        case .root:
            return AttributeAnswer(folder(place, 0o755, links: 4), validity: Self.long)
        case .attachedFolder, .mountsFolder:
            // One link says that folders in it aren't counted. The kernel looks at this at each step through the folder, so it is to keep it.
            return AttributeAnswer(folder(place, 0o755, links: 1), validity: Self.long)
        case .control:
            var attributes = folder(place, 0o666, links: 1)
            attributes.kind = .regular
            return AttributeAnswer(attributes, validity: 0)
        case .disk(let number, let item):
            let disk = try disk(number)
            if case .volume(let slot) = item, volumeOptions.keepsPermissions,
                var root = try? volume(in: slot, of: disk).volume.attributes(of: nil)
            {
                // It is the same folder, whether it can be read or not.
                root.generation = 0
                return fileAnswer(root, place, of: disk)
            }
            let range = bytes(item, of: disk) ?? 0..<0
            return disk.attachment.answer(item, place, size: range.upperBound - range.lowerBound)
        case .file(let number, let file):
            let shown = try volume(number)
            return fileAnswer(try shown.volume.attributes(of: file), place, of: shown.disk)
        }
    }

    private func folder(_ place: Place, _ permissions: UInt16, links: Int) -> Attributes {
        Attributes(
            inode: place.inode,
            kind: .directory,
            permissions: permissions,
            linkCount: UInt32(clamping: links),
            owner: table.configuration.policy.mountingUser,
            group: getgid(),
            modified: mountedAt
        )
    }

    /// The bytes of the disk that an item shows; nil for what shows none.
    private func bytes(_ item: DiskItem, of disk: ShownDisk) -> Range<UInt64>? {
        switch item {
        case .disk: 0..<disk.attachment.size
        case .partition(let slot): disk.slot(slot)?.range
        default: nil
        }
    }

    func disk(_ number: UInt64) throws(Errno) -> ShownDisk {
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
            let disk = try disk(number)
            switch item {
            case .disk, .partition:
                guard let range = bytes(item, of: disk) else { throw .noSuchFileOrDirectory }
                let file = try DiskFile(disk, node, range: range, mode: mode, caller: caller, tree: self, log: log)
                let lent = item == .disk ? disk.lentFile(by: kernelCache) : nil
                let own: OpenedFile.Caching = file.goesPastPages ? .writesDirectly : .keep
                return OpenedFile(file, caching: lent.map { .passthrough($0) } ?? own)
            case .info: return OpenedFile(TextFile(disk.attachment.facts.text), caching: .direct)
            case .infoJSON: return OpenedFile(TextFile(disk.attachment.facts.json), caching: .direct)
            case .folder, .volumes, .volume: throw .isDirectory
            case .image: throw .invalidArgument
            }
        case .file(let number, let file):
            guard !mode.writes else { throw .readOnlyFileSystem }
            return try open(file, node, of: try volume(number))
        case .root, .attachedFolder, .mountsFolder: throw .isDirectory
        case nil: throw .noSuchFileOrDirectory
        }
    }

    public func statistics(of node: NodeID) throws(Errno) -> FileSystemStatistics {
        switch Place(node) {
        case .file(let number, _): return try volume(number).volume.statistics()
        case .disk(let number, .volume(let slot)):
            return try volume(in: slot, of: try disk(number)).volume.statistics()
        default:
            let attachments = table.attachments
            return FileSystemStatistics(
                totalBytes: attachments.reduce(0) { $0 &+ $1.size },
                nodes: UInt64(4 + attachments.count * (DiskItem.fixed.count + 1))
            )
        }
    }
}

// MARK: - Hosts that do not answer

extension DiskTree {
    public func host(of node: NodeID) -> UInt64? {
        switch Place(node) {
        case .disk(let number, _): number
        case .file(let number, _): volumes.withLock { $0.shown[number]?.disk.attachment.number }
        default: nil
        }
    }

    public func didLeave(_ host: UInt64, changing: Bool) {
        guard let attachment = try? disk(host).attachment else { return }
        if attachment.left.isEmpty { log.error("\(attachment.name): \(LeftRequests.text)") }
        attachment.left.add(changing: changing)
    }

    public func didReturn(_ host: UInt64, changing: Bool) {
        guard let disk = try? disk(host) else { return }
        let attachment = disk.attachment
        if changing { disk.coherence.didChangeLate(kernel: kernelCache) }
        attachment.left.remove(changing: changing)
        if attachment.left.isEmpty { log.notice("\(attachment.name): the host has answered") }
    }
}

// MARK: - Ends

extension DiskTree: AttachmentTable.Observer {
    /// How long an end waits for the kernel to forget. It may have to wait for pages that a hung image does not deliver.
    private static let patience = Duration.seconds(2)

    public func didEnd(_ attachment: Attachment, isForced: Bool) {
        let disk = disks.withLock { $0[attachment.number] }
        let openNodes = isForced ? disk?.openNodes ?? [] : []
        if isForced { disk?.endVolumes() }
        if let disk { dropIfUnused(disk) }
        guard let kernel = kernelCache else { return }
        let isDone = Monitor(false)
        // Not the attachment itself: its files are to be closed now, even if the kernel takes its time.
        let name = attachment.name.text
        let forget: @Sendable () -> Void = {
            kernel.invalidate(name: name, in: Place.attachedFolder.node())
            kernel.invalidate(name: name, in: Place.mountsFolder.node())
            for node in openNodes { kernel.invalidate(node, range: nil) }
            isDone.update { $0 = true }
        }
        if !startThread("forget", forget) { forget() }
        let _: Bool? = isDone.wait(timeout: Self.patience) { $0 ? true : nil }
    }

    /// Lets go of a disk that has ended and of which nothing is open.
    func dropIfUnused(_ disk: ShownDisk) {
        guard disk.attachment.hasEnded, disk.attachment.openFileCount == 0 else { return }
        _ = disks.withLock { $0.removeValue(forKey: disk.attachment.number) }
        let numbers = disk.volumeNumbers
        volumes.withLock { volumes in
            for number in numbers { volumes.shown[number] = nil }
        }
        disk.endVolumes()
        disk.takeBackFile(from: kernelCache)
    }
}
