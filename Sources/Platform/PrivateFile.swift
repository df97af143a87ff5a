internal import Glibc
public import SystemPackage

/// Why a file is not fit to tell what only we may have said.
public enum PrivateFileError: Error, Sendable, Hashable {
    /// It is a symbolic link, or no regular file.
    case notRegular
    /// It belongs to that user.
    case ownedBy(UInt32)
    /// Others may read or write it: it has those permissions.
    case permissions(UInt32)
    /// It has that many names, so what it says may have been meant for another place.
    case links(UInt64)
    /// It can't be read.
    case failed(Errno)
}

extension FilePath {
    /// Reads a whole file that nobody but the daemon's user can have written, in a private directory.
    ///
    /// A directory that is private now need not always have been: what is in it could be another's still.
    ///
    /// - Parameter limit: the most bytes that it may have.
    public func privateContents(limit: Int) throws(PrivateFileError) -> [UInt8] {
        let file: Descriptor
        let status: FileStatus
        do throws(Errno) {
            // A link fails, a FIFO does not wait.
            file = try Descriptor(opening: self, flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
            status = try file.status()
        } catch .tooManySymbolicLinkLevels {
            throw .notRegular
        } catch {
            throw .failed(error)
        }
        guard status.kind == .regular else { throw .notRegular }
        guard status.user == geteuid() else { throw .ownedBy(status.user) }
        guard status.permissions & 0o077 == 0 else { throw .permissions(status.permissions) }
        guard status.links == 1 else { throw .links(status.links) }
        do {
            return try file.contents(limit: limit)
        } catch {
            throw .failed(error)
        }
    }
}
