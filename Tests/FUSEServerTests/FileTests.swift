import FUSEServer
import FileSystem
import Glibc
import Platform
import SystemPackage
import Testing

@Suite(.enabled(if: canMount, whyNot))
struct FileTests {
    private let content = samples

    @Test func `reads give the right bytes at odd places and stop at the end`() throws {
        try withMount([MemoryNode("a", inode: 10, content: content)]) { mount in
            let file = try mount.open("a")
            defer { try? file.close() }
            for range in [0..<1, 4095..<4097, 131_071..<1_200_001, 1 << 20..<2 << 20, 0..<3 << 20] {
                #expect(try file.bytes(in: range) == Array(content[range.clamped(to: 0..<content.count)]))
            }
            #expect(try file.bytes(in: 2 << 20..<3 << 20) == [])
        }
    }

    @Test(arguments: [OpenedFile.Caching.keep, .direct])
    func `writes arrive where they belong`(_ caching: OpenedFile.Caching) throws {
        let node = MemoryNode("a", inode: 10, content: content, caching: caching)
        try withMount([node]) { mount in
            let file = try mount.open("a", .readWrite)
            defer { try? file.close() }
            let bytes = Array(content.dropFirst(99).prefix(1 << 20 | 5))
            #expect(try file.writeAll(toAbsoluteOffset: 12345, bytes) == bytes.count)
            var expected = content
            expected.replaceSubrange(12345..<12345 + bytes.count, with: bytes)
            #expect(node.content.withLock { $0 } == expected)
            #expect(try file.bytes(in: 0..<content.count) == expected)
        }
    }

    @Test func `stores through mmap arrive with msync`() throws {
        let node = MemoryNode("a", inode: 10, content: [UInt8](repeating: 1, count: 8192))
        try withMount([node]) { mount in
            let file = try mount.open("a", .readWrite)
            defer { try? file.close() }
            let memory = unsafe mmap(nil, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file.rawValue, 0)
            guard let memory = unsafe memory, unsafe memory != MAP_FAILED else { throw Errno(rawValue: errno) }
            defer { unsafe munmap(memory, 8192) }
            #expect(unsafe memory.load(fromByteOffset: 5000, as: UInt8.self) == 1)
            unsafe memory.storeBytes(of: 42, toByteOffset: 5000, as: UInt8.self)
            try check(Int(unsafe msync(memory, 8192, Int32(MS_SYNC))))
            #expect(node.content.withLock { $0[5000] } == 42)
        }
    }

    @Test func `stat shows the attributes`() throws {
        try withMount([MemoryNode("a", inode: 10, content: [1, 2, 3])]) { mount in
            var found = stat()
            try check(Int(unsafe stat("\(mount.path)/a", &found)))
            #expect(found.st_ino == 10)
            #expect(found.st_mode == S_IFREG | 0o640)
            #expect(found.st_nlink == 3)
            #expect(found.st_uid == 12)
            #expect(found.st_gid == 34)
            #expect(found.st_size == 3)
            #expect(found.st_blksize == 4096)
            #expect(found.st_blocks == 3)
            #expect(found.st_mtim.tv_sec == 1_234_567)
            #expect(found.st_mtim.tv_nsec == 89)
        }
    }

    @Test func `lseek finds data and holes where the tree says`() throws {
        try withMount([MemoryNode("a", inode: 10, content: content)]) { mount in
            let file = try mount.open("a")
            defer { try? file.close() }
            #expect(lseek(file.rawValue, 7, 3) == 1007)
            #expect(lseek(file.rawValue, 7, 4) == 2007)
            #expect(lseek(file.rawValue, content.count, 3) == -1)
            #expect(errno == ENXIO)
        }
    }

    @Test func `fallocate asks for what its mode means`() throws {
        let (keepSize, punch, collapse, zero): (Int32, Int32, Int32, Int32) = (1, 2, 8, 16)
        try withMount([MemoryNode("a", inode: 10, content: content)]) { mount in
            let file = try mount.open("a", .readWrite)
            defer { try? file.close() }
            for mode in [0, punch | keepSize, zero, zero | keepSize] {
                try check(Int(Hidden.fallocate(file.rawValue, mode, 4096, 8192)))
            }
            let wishes = mount.tree.calls.filter { $0.hasSuffix("4096 8192") }.map { $0.split(separator: " ")[0] }
            #expect(wishes == ["allocate", "punchHole", "zeroRange", "zeroRange"])
            for mode in [keepSize, collapse] {
                #expect(Hidden.fallocate(file.rawValue, mode, 4096, 8192) == -1)
                #expect(errno == EOPNOTSUPP)
            }
        }
    }

    @Test func `O_TRUNC comes without a file and ftruncate with one`() throws {
        try withMount([MemoryNode("a", inode: 10, content: content)]) { mount in
            let file = try mount.open("a", .readWrite, options: .truncate)
            defer { try? file.close() }
            #expect(
                mount.tree.calls.contains("change size=0 times by name")
                    || mount.tree.calls.contains("change size=0 by name")
            )
            try check(Int(ftruncate(file.rawValue, 0)))
            #expect(mount.tree.calls.contains { $0.hasPrefix("change size=0") && $0.hasSuffix("by file") })
            try check(Int(unsafe truncate("\(mount.path)/a", 5)))
            #expect(mount.tree.calls.contains { $0.hasPrefix("change size=5") && $0.hasSuffix("by name") })
        }
    }

    @Test func `chmod, chown and utimens say what is to change`() throws {
        try withMount([MemoryNode("a", inode: 10)]) { mount in
            try check(Int(unsafe chmod("\(mount.path)/a", 0o600)))
            try check(Int(unsafe chown("\(mount.path)/a", 7, 8)))
            try check(Int(unsafe utimensat(AT_FDCWD, "\(mount.path)/a", nil, 0)))
            let changes = mount.tree.calls.filter { $0.hasPrefix("change") }
            #expect(changes == ["change mode=384 by name", "change owner=7 group=8 by name", "change times by name"])
        }
    }

    @Test func `an open says how it will be used`() throws {
        try withMount([MemoryNode("a", inode: 10)]) { mount in
            try mount.open("a", .readOnly).close()
            try mount.open("a", .writeOnly).close()
            try mount.open("a", .readWrite, options: FileDescriptor.OpenOptions(rawValue: O_DSYNC)).close()
            let opens = mount.tree.calls.filter { $0.hasPrefix("open") }
            #expect(
                opens == [
                    "open r=true w=false s=false uid=0",
                    "open r=false w=true s=false uid=0",
                    "open r=true w=true s=true uid=0",
                ]
            )
        }
    }

    @Test func `each close flushes and only the last releases`() throws {
        try withMount([MemoryNode("a", inode: 10)]) { mount in
            let file = try mount.open("a", .readWrite)
            let copy = try file.duplicate()
            try file.close()
            // A child that another test starts meanwhile closes copies too, so there may be more.
            #expect(mount.tree.calls.filter { $0 == "flush" }.count >= 1)
            #expect(!mount.tree.calls.contains("release"))
            try check(Int(fsync(copy.rawValue)))
            #expect(mount.tree.calls.filter { $0 == "synchronize" }.count == 1)
            try copy.close()
            #expect(eventually { mount.tree.calls.contains("release") })
            #expect(mount.tree.calls.filter { $0 == "flush" }.count >= 2)
        }
    }

    @Test(arguments: [1168, 512, 1_000_000, -5, 0])
    func `an error that the kernel can't carry becomes EIO`(_ number: Int32) throws {
        let node = MemoryNode(
            "a",
            inode: 10,
            content: content,
            onRead: { () throws(Errno) in throw Errno(rawValue: number) },
            onWrite: { (_) throws(Errno) in throw Errno(rawValue: number) }
        )
        try withMount([node]) { mount in
            #expect(throws: Errno.ioError) { try mount.content(of: "a") }
            let file = try mount.open("a", .writeOnly)
            defer { try? file.close() }
            #expect(throws: Errno.ioError) { try file.writeAll([1]) }
        }
    }

    @Test func `a tree without fsync is asked again, and its callers are told`() throws {
        let node = MemoryNode("a", inode: 10, onSynchronize: { () throws(Errno) in throw .noFunction })
        try withMount([node]) { mount in
            let file = try mount.open("a", .readWrite)
            defer { try? file.close() }
            for _ in 0..<2 {
                #expect(fsync(file.rawValue) == -1)
                #expect(errno == EOPNOTSUPP)
            }
        }
    }
}
