import FUSEServer
import FileSystem
import Glibc
import SystemPackage
import Testing

@Suite
struct MountingTests {
    @Test(.enabled(if: canMount, whyNot))
    func `the mount table shows type, name and options`() throws {
        try withMount([], options: ["allow_other", "fsname=my, disk"]) { mount in
            let file = try FileDescriptor.open(FilePath("/proc/self/mounts"), .readOnly)
            defer { try? file.close() }
            let lines = String(decoding: try file.bytes(in: 0..<1 << 20), as: UTF8.self).split(separator: "\n")
            let line = try #require(lines.first { $0.contains(" \(mount.path) ") })
            let fields = line.split(separator: " ")
            #expect(fields[0] == "my,\\040disk")
            #expect(fields[2] == "fuse.vhdfs")
            let options = Set(fields[3].split(separator: ","))
            #expect(options.isSuperset(of: ["rw", "default_permissions", "allow_other"]))
        }
    }

    @Test(.enabled(if: canMount, whyNot), arguments: [65536, 4 << 20])
    func `max_read is obeyed as far as it is possible`(_ limit: Int) throws {
        let node = MemoryNode("a", inode: 10, content: samples, caching: .direct)
        try withMount([node], options: ["max_read=\(limit)"]) { (mount) throws in
            #expect(try mount.content(of: "a", in: 0..<1 << 19) == Array(samples[0..<1 << 19]))
            #expect(mount.tree.calls.filter { $0 == "read" }.count == max(1, 1 << 19 / limit))
        }
    }

    @Test(.enabled(if: canMount, whyNot))
    func `root gets a long read-ahead`() throws {
        try withMount([MemoryNode("a", inode: 10)]) { mount in
            var found = stat()
            try check(Int(unsafe stat(mount.path, &found)))
            let device = "\(found.st_dev >> 8 & 0xFFF):\(found.st_dev & 0xFF | found.st_dev >> 12 & 0xFFF00)"
            let path = FilePath("/sys/class/bdi/\(device)/read_ahead_kb")
            guard let file = try? FileDescriptor.open(path, .readWrite) else { return }
            defer { try? file.close() }
            #expect(try file.bytes(in: 0..<10) == Array("4032\n".utf8))
        }
    }

    @Test func `a mount point must be a directory that exists`() throws {
        let tree = MemoryTree()
        let missing = "/nonexistent/mount point"
        #expect(throws: FUSEError.mountPoint(missing, .noSuchFileOrDirectory)) {
            try FUSESession(tree: tree, options: MountOptions(mountPoint: missing))
        }
        #expect(throws: FUSEError.mountPoint("/dev/null", .notDirectory)) {
            try FUSESession(tree: tree, options: MountOptions(mountPoint: "/dev/null"))
        }
    }

    @Test func `an unknown option is refused by name, in libfuse's words`() throws {
        let error = #expect(throws: FUSEError.self) {
            try FUSESession(tree: MemoryTree(), options: MountOptions(mountPoint: "/tmp", extra: ["nonsense=1"]))
        }
        #expect(error?.description.contains("nonsense=1") == true)
        #expect(error?.description.contains("\n") == false)
    }

    @Test func `a read-only tree is refused, because ctl is written`() throws {
        #expect(throws: FUSEError.self) {
            try FUSESession(tree: MemoryTree(), options: MountOptions(mountPoint: "/tmp", extra: ["ro"]))
        }
    }
}
