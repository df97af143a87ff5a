internal import CPlatform
internal import Glibc
public import SystemPackage

/// Which file it is, whatever its path: the same for all hard links and bind mounts of it.
public struct FileIdentity: Sendable, Hashable {
    /// The device of the file system (`st_dev`).
    public var device: UInt64
    /// The number of the file on it.
    public var inode: UInt64

    /// Makes an identity.
    public init(device: UInt64, inode: UInt64) {
        self.device = device
        self.inode = inode
    }
}

/// The kinds of files that a host has.
public enum FileKind: Sendable, Hashable, CaseIterable {
    case regular
    case directory
    case symbolicLink
    case blockDevice
    case characterDevice
    case fifo
    case socket
    case unknown

    init(mode: mode_t) {
        self =
            switch mode & S_IFMT {
            case S_IFREG: .regular
            case S_IFDIR: .directory
            case S_IFLNK: .symbolicLink
            case S_IFBLK: .blockDevice
            case S_IFCHR: .characterDevice
            case S_IFIFO: .fifo
            case S_IFSOCK: .socket
            default: .unknown
            }
    }
}

/// What `stat` tells.
public struct FileStatus: Sendable, Hashable {
    /// Which file it is.
    public var identity: FileIdentity
    /// What it is.
    public var kind: FileKind
    /// The permission bits, set-id and sticky bits included: `0o7777` at most.
    public var permissions: UInt32
    /// The owner.
    public var user: UInt32
    /// The group.
    public var group: UInt32
    /// How many names it has.
    public var links: UInt64
    /// The length in bytes; 0 for a block device.
    public var size: UInt64
    /// The storage used, in units of 512 bytes.
    public var blocks: UInt64
    /// Seconds since 1970 of the last change of the contents.
    public var modifiedSeconds: Int64
    /// Nanoseconds within that second.
    public var modifiedNanoseconds: Int64

    init(_ status: stat) {
        identity = FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
        kind = FileKind(mode: status.st_mode)
        permissions = UInt32(status.st_mode & 0o7777)
        user = status.st_uid
        group = status.st_gid
        links = UInt64(status.st_nlink)
        size = UInt64(clamping: status.st_size)
        blocks = UInt64(clamping: status.st_blocks)
        modifiedSeconds = Int64(status.st_mtim.tv_sec)
        modifiedNanoseconds = Int64(status.st_mtim.tv_nsec)
    }
}

/// The inode flags (`lsattr`) that decide whether an image may be attached.
public struct InodeFlags: OptionSet, Sendable, Hashable {
    /// The `FS_…_FL` bits.
    public let rawValue: UInt32

    /// Takes `FS_…_FL` bits.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// `FS_COMPR_FL`: the host compresses the file.
    public static let compressed = InodeFlags(rawValue: 0x4)
    /// `FS_ENCRYPT_FL`: the host encrypts the file.
    public static let encrypted = InodeFlags(rawValue: 0x800)
}

extension Descriptor {
    /// Tells about the file (`fstat`).
    public func status() throws(Errno) -> FileStatus {
        var status = stat()
        _ = try retrying { unsafe fstat(rawValue, &status) }
        return FileStatus(status)
    }

    /// The number of bytes, of block devices too.
    public func size() throws(Errno) -> UInt64 {
        let status = try status()
        if status.kind != .blockDevice { return status.size }
        return try UInt64(retrying { lseek(rawValue, 0, SEEK_END) })
    }

    /// When the inode was made, in seconds since 1970; nil where the file system does not tell. It stays when the file is written to.
    public func birthTime() throws(Errno) -> Int64? {
        var seconds: Int64 = 0
        return try retrying { unsafe platform_birth_time(rawValue, &seconds) } == 1 ? seconds : nil
    }

    /// The inode's flags; none where the file system has no such flags.
    public func inodeFlags() throws(Errno) -> InodeFlags {
        var flags: UInt32 = 0
        do {
            _ = try retrying { unsafe platform_inode_flags(rawValue, &flags) }
        } catch .inappropriateIOCTLForDevice, .notSupportedOnSocket, .noFunction, .invalidArgument, .notSupported {
            return []
        }
        return InodeFlags(rawValue: flags)
    }
}

extension FilePath {
    /// Tells about what the path leads to (`stat`), or about a link at its end (`lstat`).
    public func status(followingLinks: Bool = true) throws(Errno) -> FileStatus {
        try statusOfPath(self, flags: followingLinks ? 0 : AT_SYMLINK_NOFOLLOW)
    }
}

// Outside of `FilePath`, whose own `stat` hides the system's.
private func statusOfPath(_ path: FilePath, flags: CInt) throws(Errno) -> FileStatus {
    var status = stat()
    _ = try retrying {
        unsafe path.withPlatformString { unsafe fstatat(AT_FDCWD, $0, &status, flags) }
    }
    return FileStatus(status)
}

extension Descriptor {
    /// Whether the file has been deleted, or replaced by another, since it was opened: it goes with its last descriptor. Asks no file server.
    public var isUnlinked: Bool { platform_is_unlinked(rawValue) == 1 }
}

/// Which file a path leads to, without a question to the file system that has it: that may be our own, or one that hangs.
func knownIdentity(of path: FilePath) -> FileIdentity? {
    var identity = FileIdentity(device: 0, inode: 0)
    let status = unsafe path.withPlatformString {
        unsafe platform_identity($0, &identity.device, &identity.inode)
    }
    return status == 0 ? identity : nil
}
