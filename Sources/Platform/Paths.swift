internal import Glibc
public import SystemPackage

extension FilePath {
    /// The path's bytes, as the host has them: not always UTF-8.
    public var bytes: [UInt8] {
        unsafe withPlatformString { characters in
            unsafe UnsafeBufferPointer(start: characters, count: strlen(characters)).map { UInt8(bitPattern: $0) }
        }
    }

    /// Makes a path of bytes, up to the first zero.
    public init(bytes: some Sequence<UInt8>) {
        let characters: [CChar] = bytes.map { CChar(bitPattern: $0) } + [0]
        self.init(platformString: characters)
    }

    /// Where a symbolic link points (`readlink`).
    public func linkTarget() throws(Errno) -> FilePath {
        var capacity = 256
        while true {
            var buffer = [CChar](repeating: 0, count: capacity)
            let count = try retrying {
                unsafe withPlatformString { unsafe readlink($0, &buffer, capacity - 1) }
            }
            if count < capacity - 1 { return FilePath(platformString: buffer) }
            capacity *= 2
        }
    }

    /// Removes an empty directory.
    public func removeDirectory() throws(Errno) {
        _ = try retrying { unsafe withPlatformString { unsafe rmdir($0) } }
    }

    /// The absolute path of the same file, without links, `.` and `..` (`realpath`). Everything on the way must exist.
    public func resolved() throws(Errno) -> FilePath {
        guard let resolved = unsafe withPlatformString({ unsafe realpath($0, nil) }) else { throw lastError() }
        defer { unsafe free(resolved) }
        return unsafe FilePath(platformString: resolved)
    }
}

extension Descriptor {
    /// Where the open file is now, without links. A deleted file's path ends in ` (deleted)`.
    public func path() throws(Errno) -> FilePath {
        try FilePath("/proc/self/fd/\(rawValue)").linkTarget()
    }

    /// The names in a directory, in the host's order, without `.` and `..`. Names that are not UTF-8 are passed over.
    public func entries() throws(Errno) -> [String] {
        // An open of its own: reading moves a position, which copies of a descriptor would share.
        // Where only the one who opened it may do that (another user's file system), the position is shared after all.
        let again = unsafe openat(rawValue, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        let copy = again >= 0 ? again : try retrying { fcntl(rawValue, F_DUPFD_CLOEXEC, 0) }
        guard let directory = unsafe fdopendir(copy) else {
            let error = lastError()
            close(copy)
            throw error
        }
        defer { unsafe closedir(directory) }
        unsafe rewinddir(directory)
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = unsafe readdir(directory) else { break }
            let bytes = unsafe UnsafeRawPointer(entry) + nameOffset
            guard let name = unsafe String(validatingCString: bytes.assumingMemoryBound(to: CChar.self)) else {
                continue
            }
            if name != "." && name != ".." { names.append(name) }
        }
        if errno != 0 { throw lastError() }
        return names
    }
}

/// Where the name begins in a `dirent`.
private let nameOffset = MemoryLayout<dirent>.offset(of: \.d_name) ?? 0
