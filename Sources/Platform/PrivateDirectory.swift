internal import Glibc
public import SystemPackage

/// Why a directory is not fit to keep what only we may change.
public enum PrivateDirectoryError: Error, Sendable, Hashable {
    /// The path leads through a link at its end: another could turn it elsewhere.
    case symbolicLink
    /// It is no directory.
    case notDirectory
    /// It belongs to that user.
    case ownedBy(UInt32)
    /// Its permissions are those, not `0700`.
    case permissions(UInt32)
    /// It can't be made or opened.
    case failed(Errno)
}

/// Opens a directory that only its owner, the daemon's user, can look into and change; makes it when it is missing, and what is missing
/// on the way to it, all with permissions `0700`.
public func openPrivateDirectory(_ path: FilePath) throws(PrivateDirectoryError) -> Descriptor {
    let directory: Descriptor
    let status: FileStatus
    do throws(Errno) {
        try makeDirectories(path)
        switch try path.status(followingLinks: false).kind {
        case .directory: break
        case .symbolicLink: throw .tooManySymbolicLinkLevels
        default: throw .notDirectory
        }
        directory = try Descriptor(opening: path, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        status = try directory.status()
    } catch .tooManySymbolicLinkLevels {
        throw .symbolicLink
    } catch .notDirectory {
        throw .notDirectory
    } catch {
        throw .failed(error)
    }
    guard status.user == geteuid() else { throw .ownedBy(status.user) }
    guard status.permissions == 0o700 else { throw .permissions(status.permissions) }
    return directory
}

/// Makes a directory, and those above it, where they are missing.
private func makeDirectories(_ path: FilePath) throws(Errno) {
    do {
        try makeDirectory(path)
    } catch .noSuchFileOrDirectory where path.components.count > 1 {
        try makeDirectories(path.removingLastComponent())
        try makeDirectory(path)
    }
}

private func makeDirectory(_ path: FilePath) throws(Errno) {
    do {
        _ = try retrying { unsafe path.withPlatformString { unsafe mkdir($0, 0o700) } }
        try AtomicFile.synchronizeFolder(of: path)
    } catch .fileExists {
        return
    }
}
