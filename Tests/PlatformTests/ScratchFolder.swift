import Glibc
import Platform
import SystemPackage
import Testing

/// A folder of its own for a test; it goes with everything in it when the last reference goes, after a failure too.
final class ScratchFolder: Sendable {
    let path: FilePath

    /// - Parameter mode: of the folder; tests with other users need it to be open to them.
    init(mode: UInt32 = 0o700) throws {
        var template = Array("/tmp/vhdfs-platform-XXXXXX".utf8CString)
        let made = unsafe template.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return false }
            return unsafe mkdtemp(base) != nil
        }
        try #require(made)
        path = FilePath(platformString: template)
        let opened = unsafe chmod(path.string, mode)
        try #require(opened == 0)
    }

    deinit {
        Self.remove(path)
    }

    /// The path of a name in the folder.
    func callAsFunction(_ name: String) -> FilePath {
        path.appending(name)
    }

    /// Makes a file with these bytes.
    @discardableResult
    func file(_ name: String, _ bytes: [UInt8] = [], mode: UInt32 = 0o644) throws -> FilePath {
        let file = try Descriptor(opening: self(name), flags: O_RDWR | O_CREAT | O_EXCL)
        try file.write(bytes, at: 0)
        try #require(fchmod(file.rawValue, mode) == 0)
        return self(name)
    }

    private static func remove(_ path: FilePath) {
        if let folder = try? Descriptor(opening: path, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW) {
            for name in (try? folder.entries()) ?? [] { remove(path.appending(name)) }
            unsafe rmdir(path.string)
        } else {
            unsafe unlink(path.string)
        }
    }
}

extension Descriptor {
    /// What is at a place of a file.
    func bytes(at offset: UInt64, count: Int) throws(Errno) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: count)
        var span = bytes.mutableSpan
        var raw = unsafe span.mutableBytes
        let found = try read(into: &raw, at: offset)
        return Array(bytes.prefix(found))
    }

    /// Writes an array.
    func write(_ bytes: [UInt8], at offset: UInt64) throws(Errno) {
        try write(unsafe bytes.span.bytes, at: offset)
    }
}
