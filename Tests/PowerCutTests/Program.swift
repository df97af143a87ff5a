import BlockDevice
import ByteIO
import DiskTree
import FUSEServer
import Glibc
import Logging
import Platform
import SystemPackage
import TestSupport
import Testing
import VirtualDisk
import VolumeTree
import Volumes

/// Whether this machine and user can mount at all.
let canMount = unsafe geteuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0

/// Why not.
let needsRoot: Comment = "needs root and /dev/fuse"

/// The whole program but for its command line, in this process: attachments, tree, FUSE server; and the kernel above it.
struct Program {
    /// The mount point.
    let path: String

    /// One request, as `echo` makes it. A detach comes again while the kernel has not told of the last close yet.
    func control(_ request: String) throws {
        let file = try Descriptor(opening: FilePath("\(path)/ctl"), flags: O_WRONLY)
        let bytes = Array("\(request)\n".utf8)
        for attempt in 0... {
            let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(file.rawValue, $0.baseAddress, $0.count) }
            if count == bytes.count { return }
            guard attempt < 600, request.hasPrefix("detach") else { throw Errno(rawValue: errno) }
            usleep(50_000)
        }
    }

    /// Opens a file of an attached disk.
    func open(_ name: String, flags: CInt = O_RDWR) throws -> Descriptor {
        try Descriptor(opening: FilePath("\(path)/attached/leaf/\(name)"), flags: flags | O_CLOEXEC)
    }
}

/// Mounts over the files of a scratch folder, and takes everything away again whatever happens.
///
/// - Parameter layer: what is put between the images and their files.
func withProgram(
    in scratch: ScratchFolder,
    layer: @escaping @Sendable (PosixFile) -> any HostFile,
    _ body: (Program) throws -> Void
) throws {
    // What a killed test leaves is found by this name and unmounted (MountTests).
    let path = try scratch.makeFolder("mount.\(getpid())")
    defer { unsafe umount2(path, Int32(MNT_DETACH)) }
    let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    var configuration = AttachmentTable.Configuration(
        policy: ManagePolicy(mountingUser: geteuid()),
        opener: DirectOpener(),
        journal: .failure(AttachError(.accessDenied, "no state directory")),
        isReadOnly: false,
        mountPoint: FilePath(path)
    )
    configuration.fileLayer = AttachmentTable.FileLayer(over: layer)
    let table = AttachmentTable(configuration, log: log)
    let volumes = VolumeOptions(log: log) { (_, _, _) throws(VolumeError) in
        throw VolumeError(.unsupported, "no readers")
    }
    let tree = DiskTree(table, volumes: volumes, log: log)
    let session = try FUSESession(tree: tree, options: MountOptions(mountPoint: path))
    try session.mount()
    let isReady = Monitor(false)
    try session.start { isReady.update { $0 = true } }
    defer {
        session.stop()
        table.endAll()
    }
    guard isReady.wait(timeout: .seconds(60), until: { $0 ? true : nil }) != nil else {
        throw TestSupportError("the file system does not answer")
    }
    try body(Program(path: path))
}

extension Descriptor {
    /// The bytes of a range, as far as there are any.
    func bytes(_ range: Range<UInt64>) throws(Errno) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: range.count)
        let count = try bytes.withMutableBytes { (span) throws(Errno) in try read(into: &span, at: range.lowerBound) }
        return Array(bytes.prefix(count))
    }

    /// Writes an array.
    func write(_ bytes: [UInt8], at offset: UInt64) throws(Errno) {
        try bytes.withBytes { (span) throws(Errno) in try write(span, at: offset) }
    }
}
