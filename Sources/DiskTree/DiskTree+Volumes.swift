internal import BlockDevice
public import FileSystem
internal import Platform
public import SystemPackage
internal import VirtualDisk
internal import VolumeTree
internal import Volumes

/// The numbers of volumes in node ids; none is given out twice.
struct VolumeNumbers: Sendable {
    /// A volume that was looked into, and its disk.
    struct Shown: Sendable {
        var disk: ShownDisk
        var number: UInt64
        var volume: ShownVolume
    }

    var shown: [UInt64: Shown] = [:]
    private var last: UInt64 = 0

    /// The next number; nil when there are no more.
    mutating func next() -> UInt64? {
        guard last + 1 < Place.volumeLimit else { return nil }
        last += 1
        return last
    }
}

/// `mounts/NAME/pN` and what is below.
extension DiskTree {
    /// The volume that a node's number names.
    func volume(_ number: UInt64) throws(Errno) -> VolumeNumbers.Shown {
        guard let found = volumes.withLock({ $0.shown[number] }) else { throw .noSuchFileOrDirectory }
        return found
    }

    /// The volume in a slot of a disk; it gets a number when it is looked into for the first time.
    func volume(in slot: Int, of disk: ShownDisk) throws(Errno) -> VolumeNumbers.Shown {
        let found = disk.volume(in: slot) { place in
            guard let number = volumes.withLock({ $0.next() }) else { return nil }
            return (number, show(place, of: disk.attachment))
        }
        // After a million volumes: mounting it anew helps.
        guard let found else { throw .tooManyOpenFilesInSystem }
        let shown = VolumeNumbers.Shown(disk: disk, number: found.number, volume: found.volume)
        volumes.withLock { $0.shown[found.number] = shown }
        return shown
    }

    private func show(_ slot: ShownDisk.Slot, of attachment: Attachment) -> ShownVolume {
        ShownVolume(
            name: "\(attachment.name)/p\(slot.number)",
            isConstant: attachment.isReadOnly,
            owner: ShownVolume.Owner(user: attachment.access.owner, group: attachment.access.group),
            options: volumeOptions,
            version: { attachment.version },
            isSilent: { attachment.left.areMany },
            locate: { () throws(VolumeError) in
                let version = attachment.version
                let found = attachment.contents().volumes.first { $0.number == slot.number && $0.range == slot.range }
                guard let identity = found?.identity else {
                    throw VolumeError(.notRecognized, "there is no file system here any more")
                }
                let device = Slice(attachment, range: slot.range)
                return ShownVolume.Place(device: device, reader: identity.reader, version: version)
            }
        )
    }

    // MARK: Files

    /// How long the kernel may believe what a volume says: for long if nobody can write to the disk.
    private static func validity(_ disk: ShownDisk) -> Double {
        disk.attachment.isReadOnly ? 3600 : 0
    }

    func fileAnswer(_ attributes: Attributes, _ place: Place, of disk: ShownDisk) -> AttributeAnswer {
        var attributes = attributes
        attributes.inode = place.inode
        return AttributeAnswer(attributes, validity: Self.validity(disk))
    }

    private func fileEntry(_ file: FileID, _ attributes: Attributes, of shown: VolumeNumbers.Shown) -> Entry {
        let place = Place.file(volume: shown.number, file)
        return Entry(
            node: place.node(),
            answer: fileAnswer(attributes, place, of: shown.disk),
            nameValidity: Self.validity(shown.disk)
        )
    }

    /// Looks a name up in a folder of a volume; a nil folder is its root.
    func lookup(_ name: String, in folder: FileID?, of shown: VolumeNumbers.Shown) throws(Errno) -> Entry {
        guard let found = try shown.volume.lookup(Array(name.utf8), in: folder) else { throw .noSuchFileOrDirectory }
        return fileEntry(found.file, found.attributes, of: shown)
    }

    func list(_ folder: FileID?, of shown: VolumeNumbers.Shown) throws(Errno) -> any OpenDirectory {
        try shown.volume.list(folder) { [self] file, attributes in fileEntry(file, attributes, of: shown) }
    }

    func open(_ file: FileID, _ node: NodeID, of shown: VolumeNumbers.Shown) throws(Errno) -> OpenedFile {
        let disk = shown.disk
        do {
            try disk.attachment.didOpen(writing: false)
        } catch {
            throw error.ioErrno
        }
        disk.didOpen(node, .reading)
        let didClose: @Sendable () -> Void = { [self] in
            disk.attachment.didClose(writing: false)
            disk.didClose(node, .reading)
            dropIfUnused(disk)
        }
        do throws(Errno) {
            let open = try shown.volume.open(file, didClose: didClose)
            return OpenedFile(open, caching: disk.attachment.isReadOnly ? .keep : .fresh)
        } catch {
            didClose()
            throw error
        }
    }

    // MARK: Extended attributes

    public func extendedAttributes(of node: NodeID) throws(Errno) -> [[UInt8]] {
        guard let (volume, file) = try volumeFile(node) else { return [] }
        return try volume.extendedAttributes(of: file)
    }

    /// Only volumes have any, and only the user's: programs that hear so of another namespace once (access control lists, say) stop asking.
    public func extendedAttribute(_ name: [UInt8], of node: NodeID) throws(Errno) -> [UInt8] {
        guard name.starts(with: "user.".utf8), let (volume, file) = try volumeFile(node) else { throw .notSupported }
        guard let value = try volume.extendedAttribute(name, of: file) else { throw .noData }
        return value
    }

    private func volumeFile(_ node: NodeID) throws(Errno) -> (ShownVolume, FileID?)? {
        switch Place(node) {
        case .file(let number, let file): (try volume(number).volume, file)
        case .disk(let number, .volume(let slot)): (try volume(in: slot, of: try disk(number)).volume, nil)
        default: nil
        }
    }
}
