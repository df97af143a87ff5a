public import BlockDevice
public import FileSystem
internal import Logging
internal import Platform
public import SystemPackage
public import Volumes

/// The files of one volume of an attached disk, as programs see them.
///
/// The file system is opened when something in it is looked at for the first time, and again when the disk has been written to since.
public final class ShownVolume: Sendable {
    /// What the volume stands on, and whose it is.
    public struct Place: Sendable {
        /// The volume's bytes.
        public var device: any BlockDevice
        /// What `device` holds, when it was looked at last.
        public var reader: VolumeIdentity.Reader
        /// A number that differs when the disk's bytes do.
        public var version: UInt64

        /// Makes a place.
        public init(device: any BlockDevice, reader: VolumeIdentity.Reader, version: UInt64) {
            self.device = device
            self.reader = reader
            self.version = version
        }
    }

    /// Who owns what has no owner of its own.
    public struct Owner: Sendable {
        /// The user id.
        public var user: UInt32
        /// The group's id.
        public var group: UInt32

        /// Makes an owner.
        public init(user: UInt32, group: UInt32) {
            self.user = user
            self.group = group
        }
    }

    private struct State {
        var open: OpenVolume?
        /// When it was opened, and how long that took.
        var openedAt = ContinuousClock.now
        var cost = Duration.zero
        /// Why it could not be opened, at which version of the disk, and how long that is believed.
        var failure: (error: VolumeError, version: UInt64, until: ContinuousClock.Instant)?
        /// What has been logged of it.
        var complaints: Set<String> = []
    }

    /// Whether the disk can't change under it.
    public let isConstant: Bool
    private let name: String
    private let owner: Owner
    private let options: VolumeOptions
    private let version: @Sendable () -> UInt64
    private let isSilent: @Sendable () -> Bool
    private let locate: @Sendable () throws(VolumeError) -> Place
    private let state = Locked(State())
    /// One thread opens it, the others wait for that.
    private let opening = Locked(())

    /// Shows a volume.
    ///
    /// - Parameters:
    ///   - name: how messages call it.
    ///   - isConstant: whether the disk is read-only.
    ///   - owner: who owns what has no owner of its own.
    ///   - version: a number that differs when the disk's bytes do; asked at each call, so cheap.
    ///   - isSilent: whether the host of the disk does not answer.
    ///   - locate: finds the volume on the disk as it is now.
    public init(
        name: String,
        isConstant: Bool,
        owner: Owner,
        options: VolumeOptions,
        version: @escaping @Sendable () -> UInt64,
        isSilent: @escaping @Sendable () -> Bool = { false },
        locate: @escaping @Sendable () throws(VolumeError) -> Place
    ) {
        self.name = name
        self.isConstant = isConstant
        self.owner = owner
        self.options = options
        self.version = version
        self.isSilent = isSilent
        self.locate = locate
    }

    // MARK: Opening

    /// The volume as it is now, or as it was a moment ago while it is being written to.
    func current() throws(VolumeError) -> OpenVolume {
        try checkHost()
        if let open = try usable() { return open }
        return try opening.withLock { (_) throws(VolumeError) in
            // Who has waited for another's attempt hears how that has ended.
            if let open = try usable() { return open }
            return try openAgain()
        }
    }

    /// Throws when nothing can be had from the host: else its caller waited for locks that others hold who wait for that.
    func checkHost() throws(VolumeError) {
        if isSilent() { throw VolumeError(.silent, "the host does not answer") }
    }

    private func openAgain() throws(VolumeError) -> OpenVolume {
        let start = ContinuousClock.now
        let version = self.version()
        do throws(VolumeError) {
            let place = try locate()
            let reader = try options.open(name, place.device, place.reader)
            let open = OpenVolume(reader, version: place.version, folders: options.folders)
            state.withLock { state in
                state.open = open
                state.openedAt = .now
                state.cost = .now - start
                state.failure = nil
            }
            return open
        } catch {
            // What took long to fail, or took a process with it, is not tried again by everybody who asks.
            let pause = max((.now - start) * 4, error.kind == .reader ? .seconds(2) : .zero)
            state.withLock { $0.failure = (error, version, .now + pause) }
            throw error
        }
    }

    /// What is open, unless it is out of date; throws if it could not be opened a moment ago. While a disk is written to all the time, at most a
    /// fifth of the time goes into opening.
    private func usable() throws(VolumeError) -> OpenVolume? {
        let version = version()
        let (open, error) = state.withLock { state -> (OpenVolume?, VolumeError?) in
            if let failure = state.failure, failure.version == version, .now < failure.until {
                return (nil, failure.error)
            }
            guard let open = state.open else { return (nil, nil) }
            let isCurrent = isConstant || open.version == version
            return (isCurrent || ContinuousClock.now - state.openedAt < state.cost * 4 ? open : nil, nil)
        }
        if let error { throw error }
        return open
    }

    /// Whether what was opened at some time is still what the disk holds.
    func isCurrent(_ open: OpenVolume) -> Bool {
        isConstant || open.version == version()
    }

    /// The disk is gone: ends the file system, also for those who are in the middle of something.
    public func end() {
        let open = state.withLock { state in
            defer { state.open = nil }
            return state.open
        }
        open?.reader.close()
    }

    // MARK: Files

    /// Finds a shown name; nil if there is none. A nil folder is the root.
    public func lookup(
        _ name: [UInt8],
        in directory: FileID?
    ) throws(Errno) -> (file: FileID, attributes: Attributes)? {
        try telling { () throws(VolumeError) in
            let volume = try current()
            guard let entry = try volume.entry(named: ShownName.stored(name), in: directory ?? volume.reader.root)
            else {
                return nil
            }
            return (entry.file, shown(try volume.attributes(of: entry)))
        }
    }

    /// What `stat` tells about a file, without its inode number. A nil file is the root.
    public func attributes(of file: FileID?) throws(Errno) -> Attributes {
        try telling { () throws(VolumeError) in
            let volume = try current()
            return shown(try volume.reader.attributes(of: file ?? volume.reader.root))
        }
    }

    /// Lists a folder; `place` makes the node and its number of a file.
    public func list(
        _ directory: FileID?,
        place: @escaping @Sendable (FileID, Attributes) -> Entry
    ) throws(Errno) -> any OpenDirectory {
        try telling { () throws(VolumeError) in
            let volume = try current()
            let id = directory ?? volume.reader.root
            return FolderListing(self, volume, try volume.folder(id), id: id, place: place)
        }
    }

    /// Where a symbolic link leads, without leaving the volume.
    public func linkTarget(of link: FileID) throws(Errno) -> [UInt8] {
        let target = try telling { () throws(VolumeError) -> [UInt8]? in
            let volume = try current()
            // Not known any more: the kernel looks it up again when it hears so.
            guard let folder = volume.folder(ofLink: link) else { return nil }
            return try LinkResolution(volume: volume).target(of: link, in: folder)
        }
        guard let target else { throw .staleNFSFileHandle }
        return target
    }

    /// Opens a file for reading.
    public func open(_ file: FileID, didClose: @escaping @Sendable () -> Void) throws(Errno) -> any OpenFile {
        try telling { () throws(VolumeError) in
            let volume = try current()
            return ShownFile(self, volume, try volume.reader.open(file), id: file, didClose: didClose)
        }
    }

    /// The names of a file's extended attributes.
    public func extendedAttributes(of file: FileID?) throws(Errno) -> [[UInt8]] {
        try telling { () throws(VolumeError) in
            let volume = try current()
            return try volume.reader.extendedAttributes(of: file ?? volume.reader.root).map(\.name)
        }
    }

    /// The value of an extended attribute; nil if there is none of that name.
    public func extendedAttribute(_ name: [UInt8], of file: FileID?) throws(Errno) -> [UInt8]? {
        try telling { () throws(VolumeError) in
            let volume = try current()
            let file = file ?? volume.reader.root
            guard let found = try volume.reader.extendedAttributes(of: file).first(where: { $0.name == name }) else {
                return nil
            }
            return try volume.reader.value(of: found, of: file)
        }
    }

    /// Answers `statfs`.
    public func statistics() throws(Errno) -> FileSystemStatistics {
        try telling { () throws(VolumeError) in
            let statistics = try current().reader.statistics
            let size = UInt64(statistics.blockSize)
            return FileSystemStatistics(
                totalBytes: statistics.blocks.multipliedReportingOverflow(by: size).partialValue,
                freeBytes: statistics.freeBlocks.multipliedReportingOverflow(by: size).partialValue,
                blockSize: statistics.blockSize,
                nodes: statistics.files
            )
        }
    }

    // MARK: Attributes

    /// The attributes as programs see them: everything can be read by whoever may enter the volume, unless modes are to count.
    func shown(_ attributes: FileAttributes) -> Attributes {
        let isFolder = attributes.kind == .directory
        var permissions = attributes.permissions ?? (isFolder ? 0o555 : 0o444)
        if !options.keepsPermissions {
            permissions |= isFolder ? 0o555 : 0o444
            if permissions & 0o111 != 0 { permissions |= 0o111 }
        }
        var shown = Attributes(
            inode: 0,
            kind: attributes.kind,
            permissions: permissions,
            linkCount: attributes.linkCount,
            owner: attributes.owner ?? owner.user,
            group: attributes.group ?? owner.group,
            size: attributes.size,
            allocatedBytes: attributes.allocatedBytes,
            modified: attributes.modified,
            accessed: attributes.accessed,
            changed: attributes.changed,
            device: attributes.device
        )
        shown.generation = attributes.generation
        return shown
    }

    // MARK: Errors

    private static let complaintLimit = 100

    /// Runs a call of the reader; an error is told to the log, once, and becomes an error number.
    func telling<R>(_ body: () throws(VolumeError) -> R) throws(Errno) -> R {
        do throws(VolumeError) {
            return try body()
        } catch {
            let isNews = state.withLock { state in
                state.complaints.count < Self.complaintLimit && state.complaints.insert(error.text).inserted
            }
            if isNews, ![.gone, .silent, .stale].contains(error.kind) { options.log.warning("\(name): \(error.text)") }
            throw error.errno
        }
    }
}

extension VolumeError {
    /// What a program is told.
    var errno: Errno {
        switch kind {
        case .notRecognized, .damaged, .reader, .disk: .ioError
        case .unsupported: .notSupportedOnSocket
        case .limit: .fileTooLarge
        case .silent: .timedOut
        case .stale: .staleNFSFileHandle
        case .gone: .noSuchAddressOrDevice
        }
    }
}
