internal import Glibc
public import SystemPackage

/// Small files that are there wholly or not at all, after a crash too.
public enum AtomicFile {
    /// Writes a file, or puts it in the place of an older one. It is durable on return.
    ///
    /// After a crash a file may be left beside it whose name begins with a dot and ends in `.new`; it means nothing.
    ///
    /// - Parameter permissions: of the file, whatever the umask says.
    public static func write(_ bytes: [UInt8], to path: FilePath, permissions: UInt32 = 0o600) throws(Errno) {
        guard let name = path.lastComponent else { throw .isDirectory }
        let random = String(UInt64.random(in: .min ... .max), radix: 36)
        let temporary = path.removingLastComponent().appending(".\(name.string.prefix(64)).\(random).new")
        do throws(Errno) {
            let file = try Descriptor(opening: temporary, flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW)
            try file.write(unsafe bytes.span.bytes, at: 0)
            _ = try retrying { fchmod(file.rawValue, mode_t(permissions)) }
            try file.synchronize()
            try rename(temporary, to: path)
        } catch {
            try? unlink(temporary)
            throw error
        }
        try synchronizeFolder(of: path)
    }

    /// Removes a file. It stays away after a crash.
    public static func remove(_ path: FilePath) throws(Errno) {
        try unlink(path)
        try synchronizeFolder(of: path)
    }

    static func synchronizeFolder(of path: FilePath) throws(Errno) {
        let folder = path.removingLastComponent()
        try Descriptor(opening: folder.isEmpty ? "." : folder, flags: O_RDONLY | O_DIRECTORY).synchronize()
    }

    private static func rename(_ path: FilePath, to target: FilePath) throws(Errno) {
        _ = try retrying {
            unsafe path.withPlatformString { path in
                unsafe target.withPlatformString { target in unsafe Glibc.rename(path, target) }
            }
        }
    }

    private static func unlink(_ path: FilePath) throws(Errno) {
        _ = try retrying { unsafe path.withPlatformString { unsafe Glibc.unlink($0) } }
    }
}
