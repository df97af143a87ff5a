internal import Glibc

/// A folder for the files of one test.
public struct ScratchFolder: Sendable {
    /// Its absolute path, without a slash at the end.
    public let path: String

    /// Uses a folder that exists; only those that `withScratchFolder` lends are removed.
    public init(path: String) {
        self.path = path
    }

    /// The path of something in the folder.
    public func path(_ name: String) -> String {
        "\(path)/\(name)"
    }

    /// Writes a file and returns its path.
    @discardableResult
    public func write(_ bytes: [UInt8], to name: String) throws -> String {
        try write(SparseBytes(bytes), to: name)
    }

    /// Writes a sparse file and returns its path. Whatever was there is replaced.
    @discardableResult
    public func write(_ content: SparseBytes, to name: String) throws -> String {
        let target = path(name)
        let descriptor = unsafe open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw TestSupportError("open \(target): errno \(errno)") }
        defer { close(descriptor) }
        guard ftruncate(descriptor, off_t(content.count)) == 0 else {
            throw TestSupportError("ftruncate \(target): errno \(errno)")
        }
        try content.forEachStoredPage { offset, bytes in
            let count = unsafe bytes.withUnsafeBytes {
                unsafe pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset))
            }
            guard count == bytes.count else { throw TestSupportError("pwrite \(target): errno \(errno)") }
        }
        return target
    }

    /// Reads a whole file, holes and all.
    public func read(_ name: String) throws -> SparseBytes {
        try readFile(path(name))
    }

    /// Makes a folder in the folder and returns its path.
    @discardableResult
    public func makeFolder(_ name: String) throws -> String {
        guard unsafe mkdir(path(name), 0o700) == 0 else { throw TestSupportError("mkdir \(name): errno \(errno)") }
        return path(name)
    }
}

// SEEK_DATA, which Glibc shows only with _GNU_SOURCE.
private let seekData: Int32 = 3

/// Reads a whole file; what is zero stays a hole.
public func readFile(_ path: String) throws -> SparseBytes {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw TestSupportError("open \(path): errno \(errno)") }
    defer { close(descriptor) }
    let size = lseek(descriptor, 0, SEEK_END)
    var content = SparseBytes(count: UInt64(max(size, 0)))
    var offset: off_t = 0
    while offset < size {
        let data = lseek(descriptor, offset, seekData)
        guard data >= 0 else { break }
        offset = data / 65536 * 65536
        let chunk = unsafe [UInt8](unsafeUninitializedCapacity: 65536) { buffer, count in
            unsafe count = max(0, pread(descriptor, buffer.baseAddress, buffer.count, offset))
        }
        guard !chunk.isEmpty else { throw TestSupportError("pread \(path): errno \(errno)") }
        content.store(chunk, at: UInt64(offset), keepingHoles: true)
        offset += off_t(chunk.count)
    }
    return content
}

/// Lends a new empty folder, and removes it with all its files afterwards, also when `body` throws.
///
/// File systems that are still mounted inside are not touched: who mounts, unmounts.
public func withScratchFolder<R>(_ body: (ScratchFolder) throws -> R) throws -> R {
    let folder = try makeScratchFolder()
    defer { removeScratchFolder(folder) }
    return try body(folder)
}

/// Lends a new empty folder to an asynchronous test.
public func withScratchFolder<R>(_ body: (ScratchFolder) async throws -> R) async throws -> R {
    let folder = try makeScratchFolder()
    defer { removeScratchFolder(folder) }
    return try await body(folder)
}

private func makeScratchFolder() throws -> ScratchFolder {
    let parent = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
    var template = Array("\(parent)/vhdfs-tests.XXXXXX".utf8CString)
    guard
        let path = unsafe template.withUnsafeMutableBufferPointer({ buffer -> String? in
            guard let base = buffer.baseAddress, let name = unsafe mkdtemp(base) else { return nil }
            return unsafe String(cString: name)
        })
    else { throw TestSupportError("mkdtemp in \(parent): errno \(errno)") }
    return ScratchFolder(path: path)
}

private func removeScratchFolder(_ folder: ScratchFolder) {
    _ = try? run("rm", "-rf", "--one-file-system", folder.path)
}
