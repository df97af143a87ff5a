import ByteIO
import DiskTree
import FileSystem
import Glibc
import Logging
import Platform
import SystemPackage
import TestSupport
import VirtualDisk
import VolumeTree
import Volumes

/// Does one thing so many times, for a program that counts instructions: `instructions WHAT COUNT FOLDER`.
///
/// What the kernel asks is asked without it, so all that is counted is ours.
@main
enum Instructions {
    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 4, let count = Int(arguments[2]) else {
            print("usage: instructions read-4k|resolve-1m|ctl-info COUNT FOLDER")
            exit(64)
        }
        let scene = try Scene(in: arguments[3])
        switch arguments[1] {
        case "read-4k":
            let file = try scene.open("attached/disk/disk")
            var page = [UInt8](repeating: 0, count: 4096)
            for number in 0..<count { try scene.read(file, into: &page, at: scene.place(number, 4096)) }
        case "resolve-1m":
            let file = try scene.open("attached/disk/disk")
            for number in 0..<count { _ = try file.hostBytes(at: scene.place(number, 1 << 20), count: 1 << 20) }
        default:
            for _ in 0..<count { try scene.request("info disk") }
        }
    }
}

/// A tree with one attached disk: a dynamic VHD of 64 MiB, every second block of which is there.
private final class Scene {
    private let tree: DiskTree
    private static let size = 64 << 20
    private static let caller = Caller(user: geteuid(), group: getegid(), thread: getpid())

    init(in folder: String) throws {
        let path = folder + "/disk.vhd"
        try Self.make(path)
        let log = Logger(label: "instructions") { _ in SwiftLogNoOpLogHandler() }
        let table = AttachmentTable(
            .init(
                policy: ManagePolicy(mountingUser: geteuid(), group: nil),
                opener: DirectOpener(),
                journal: .failure(AttachError(.accessDenied, "no state directory")),
                isReadOnly: false,
                mountPoint: "/mount"
            ),
            log: log
        )
        let volumes = VolumeOptions(log: log) { (_, _, _) throws(VolumeError) in
            throw VolumeError(.unsupported, "no readers")
        }
        tree = DiskTree(table, volumes: volumes, log: log)
        // Open for writing only: else the attachment would end with it.
        try write("attach '\(path)' readonly", to: try open("ctl", reads: false, writes: true))
    }

    private static func make(_ path: String) throws {
        var disk = SparseBytes(count: UInt64(size))
        let block = [UInt8](repeating: 0x5A, count: 2 << 20)
        for offset in stride(from: 0, to: size, by: 4 << 20) { disk.store(block, at: UInt64(offset)) }
        let file = try FileDescriptor.open(
            FilePath(path),
            .readWrite,
            options: [.create, .truncate],
            permissions: .ownerReadWrite
        )
        try file.closeAfter {
            _ = try file.writeAll(VHDBuilder(.dynamic, disk: disk).build().content.bytes)
        }
    }

    /// Places that jump over the disk, with and without data.
    func place(_ number: Int, _ unit: Int) -> UInt64 {
        UInt64(number &* 7919 % (Self.size / unit) * unit)
    }

    func open(_ path: String, reads: Bool = true, writes: Bool = false) throws -> any OpenFile {
        var node = NodeID.root
        for name in path.split(separator: "/") { node = try tree.lookup(String(name), in: node).node }
        return try tree.open(node, mode: OpenMode(reads: reads, writes: writes), caller: Self.caller).file
    }

    func read(_ file: any OpenFile, into page: inout [UInt8], at offset: UInt64) throws {
        _ = try page.withMutableBytes { (span) throws(Errno) in
            try file.read(into: &span, at: offset, caller: Self.caller)
        }
    }

    /// As a program does that keeps `ctl` open for reading and writing: the request, and its answer.
    func request(_ line: String) throws {
        let file = try open("ctl", writes: true)
        try write(line, to: file)
        var answer = [UInt8](repeating: 0, count: 65536)
        try read(file, into: &answer, at: 0)
        try file.flush()
        file.release()
    }

    private func write(_ line: String, to file: any OpenFile) throws {
        _ = try Array("\(line)\n".utf8).withBytes { (span) throws(Errno) in
            try file.write(span, at: 0, origin: .buffer, caller: Self.caller, interruption: Interruption())
        }
    }
}
