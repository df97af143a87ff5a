import FUSEServer
import FileSystem
import Glibc
import Platform
import SystemPackage
import Testing

/// Whether this machine and user can mount at all.
let canMount: Bool = geteuid() == 0 && (try? FileDescriptor.open(FilePath("/dev/fuse"), .readWrite).close()) != nil

/// Why not.
let whyNot: Comment = "needs root and /dev/fuse"

/// A tree that is mounted for one test.
struct Mounted {
    let tree: MemoryTree
    let session: FUSESession
    let path: String

    /// Opens a file of the tree.
    func open(
        _ name: String,
        _ mode: FileDescriptor.AccessMode = .readOnly,
        options: FileDescriptor.OpenOptions = []
    ) throws -> FileDescriptor {
        try FileDescriptor.open(FilePath("\(path)/\(name)"), mode, options: options)
    }

    /// Reads the first 64 KiB of a file of the tree.
    func content(of name: String) throws -> [UInt8] {
        try content(of: name, in: 0..<65536)
    }

    /// Reads a part of a file of the tree.
    func content(of name: String, in range: Range<Int>) throws -> [UInt8] {
        let file = try open(name)
        defer { try? file.close() }
        return try file.bytes(in: range)
    }
}

/// Mounts a tree in a fresh directory, and takes both away again whatever happens.
func withMount(
    _ nodes: [MemoryNode],
    options: [String] = [],
    patience: Duration? = nil,
    _ body: (Mounted) throws -> Void
) throws {
    try withTemporaryDirectory { path in
        let tree = MemoryTree()
        for node in nodes { tree.add(node) }
        let options = MountOptions(mountPoint: path, extra: options, patience: patience)
        let session = try FUSESession(tree: tree, options: options)
        try session.mount()
        let isReady = Monitor(false)
        try session.start { isReady.update { $0 = true } }
        defer { session.stop() }
        #expect(isReady.wait(timeout: .seconds(20)) { $0 ? true : nil } == true)
        try body(Mounted(tree: tree, session: session, path: path))
    }
}

/// Lends an empty directory.
func withTemporaryDirectory(_ body: (String) throws -> Void) throws {
    var template = Array("/tmp/fuse-server-test.XXXXXX\0".utf8CString)
    guard unsafe mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
    let path = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer {
        unsafe umount2(path, Int32(MNT_DETACH))
        unsafe rmdir(path)
    }
    try body(path)
}

extension FileDescriptor {
    /// The bytes of a range, as far as the file has them.
    func bytes(in range: Range<Int>) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: range.count)
        var done = 0
        while done < bytes.count {
            let count = try unsafe bytes[done...].withUnsafeMutableBytes {
                try unsafe read(fromAbsoluteOffset: Int64(range.lowerBound + done), into: $0)
            }
            if count == 0 { break }
            done += count
        }
        return Array(bytes.prefix(done))
    }
}

/// The outcome of a C call that says -1 and errno.
func check(_ result: Int) throws(Errno) {
    if result == -1 { throw Errno(rawValue: errno) }
}

/// Waits until something has become true; for what has no event to wait for.
func eventually(_ condition: () -> Bool) -> Bool {
    for _ in 0..<2000 {
        if condition() { return true }
        usleep(10_000)
    }
    return false
}

/// Whether something is mounted at a path.
func isMounted(_ path: String) -> Bool {
    guard let file = try? FileDescriptor.open(FilePath("/proc/self/mounts"), .readOnly) else { return false }
    defer { try? file.close() }
    let text = (try? file.bytes(in: 0..<1 << 20)) ?? []
    return String(decoding: text, as: UTF8.self).contains(" \(path) ")
}

/// Runs a program to its end; returns its exit status.
func run(_ arguments: [String]) -> Int32 {
    var strings = unsafe arguments.map { unsafe strdup($0) }
    defer { for index in unsafe strings.indices { unsafe free(strings[index]) } }
    unsafe strings.append(nil)
    var child = pid_t()
    guard unsafe posix_spawnp(&child, arguments[0], nil, nil, &strings, nil) == 0 else { return -1 }
    var status: Int32 = 0
    while unsafe waitpid(child, &status, 0) == -1, errno == EINTR {}
    return status >> 8
}

/// Bytes that differ from place to place: 1.25 MiB and a bit, more than one request can carry.
let samples: [UInt8] = (0..<5 << 18 | 777).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8 &+ $0 >> 16) }

/// Functions of the C library that Swift's Glibc module does not show.
enum Hidden {
    static func fallocate(_ file: CInt, _ mode: CInt, _ offset: Int, _ count: Int) -> CInt {
        typealias Function = @convention(c) (CInt, CInt, Int, Int) -> CInt
        return find("fallocate", as: Function.self)(file, mode, offset, count)
    }

    static func setxattr(_ path: String) -> CInt {
        typealias Function =
            @convention(c) (UnsafePointer<CChar>, UnsafePointer<CChar>, UnsafePointer<CChar>, Int, CInt) -> CInt
        return unsafe find("setxattr", as: Function.self)(path, "user.x", "y", 1, 0)
    }

    static func removexattr(_ path: String) -> CInt {
        typealias Function = @convention(c) (UnsafePointer<CChar>, UnsafePointer<CChar>) -> CInt
        return unsafe find("removexattr", as: Function.self)(path, "user.x")
    }

    private static func find<F>(_ name: String, as type: F.Type) -> F {
        unsafe unsafeBitCast(dlsym(nil, name), to: type)
    }
}
