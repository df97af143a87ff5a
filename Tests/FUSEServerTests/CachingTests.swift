import FUSEServer
import FileSystem
import Glibc
import Platform
import SystemPackage
import Testing

@Suite(.enabled(if: canMount, whyNot))
struct CachingTests {
    private func reads(_ mount: Mounted) -> Int { mount.tree.calls.filter { $0 == "read" }.count }

    @Test func `pages stay over a close until they are invalidated`() throws {
        let node = MemoryNode("a", inode: 10, content: [UInt8](repeating: 1, count: 65536))
        try withMount([node]) { (mount) throws in
            #expect(try mount.content(of: "a")[0] == 1)
            let first = reads(mount)
            node.content.withLock { $0 = [UInt8](repeating: 2, count: 65536) }
            #expect(try mount.content(of: "a")[0] == 1)
            #expect(reads(mount) == first)
            mount.session.cache.invalidate(NodeID(rawValue: 10), range: nil)
            #expect(try mount.content(of: "a")[0] == 2)
            #expect(reads(mount) > first)
        }
    }

    @Test func `a range is invalidated and no more`() throws {
        let node = MemoryNode("a", inode: 10, content: [UInt8](repeating: 1, count: 65536))
        try withMount([node]) { mount in
            _ = try mount.content(of: "a")
            node.content.withLock { $0 = [UInt8](repeating: 2, count: 65536) }
            mount.session.cache.invalidate(NodeID(rawValue: 10), range: 8192..<8193)
            mount.session.cache.invalidate(NodeID(rawValue: 10), range: 0..<0)
            mount.session.cache.invalidate(NodeID(rawValue: 10), range: UInt64.max - 1..<UInt64.max)
            let now = try mount.content(of: "a")
            #expect(now[8191] == 1)
            #expect(now[8192] == 2)
            #expect(now[12287] == 2)
            #expect(now[12288] == 1)
            mount.session.cache.invalidate(NodeID(rawValue: 10), range: 4096..<UInt64.max)
            #expect(try mount.content(of: "a")[65535] == 2)
            #expect(try mount.content(of: "a")[0] == 1)
        }
    }

    @Test func `attributes are believed until they are invalidated`() throws {
        let node = MemoryNode("a", inode: 10, content: [1])
        try withMount([node]) { mount in
            var found = stat()
            try check(Int(unsafe stat("\(mount.path)/a", &found)))
            node.content.withLock { $0 = [1, 2, 3] }
            try check(Int(unsafe stat("\(mount.path)/a", &found)))
            #expect(found.st_size == 1)
            mount.session.cache.invalidate(NodeID(rawValue: 10), range: nil)
            try check(Int(unsafe stat("\(mount.path)/a", &found)))
            #expect(found.st_size == 3)
        }
    }

    @Test func `what the kernel does not know is invalidated without ado`() throws {
        try withMount([]) { mount in
            mount.session.cache.invalidate(NodeID(rawValue: 4711), range: nil)
            mount.session.cache.invalidate(name: "nobody", in: .root)
            mount.session.cache.invalidate(name: "nobody", in: NodeID(rawValue: 4711))
        }
    }

    @Test func `a name is believed until it is invalidated`() throws {
        try withMount([MemoryNode("a", inode: 10, content: [1])]) { (mount) throws in
            #expect(try mount.content(of: "a") == [1])
            mount.tree.remove("a")
            mount.tree.add(MemoryNode("a", inode: 11, content: [2]))
            #expect(try mount.content(of: "a") == [1])
            mount.session.cache.invalidate(name: "a", in: .root)
            #expect(try mount.content(of: "a") == [2])
        }
    }

    @Test func `a name that was missing can appear`() throws {
        try withMount([]) { (mount) throws in
            #expect(throws: Errno.noSuchFileOrDirectory) { try mount.content(of: "a") }
            mount.tree.add(MemoryNode("a", inode: 10, content: [1]))
            #expect(try mount.content(of: "a") == [1])
        }
    }

    @Test(arguments: [OpenedFile.Caching.direct, .stream])
    func `each read of an uncached file comes to the tree`(_ caching: OpenedFile.Caching) throws {
        let node = MemoryNode("a", inode: 10, content: [1, 2, 3], caching: caching)
        try withMount([node]) { mount in
            for round in 1...3 {
                let file = try mount.open("a")
                defer { try? file.close() }
                var bytes = [UInt8](repeating: 0, count: 3)
                #expect(try unsafe bytes.withUnsafeMutableBytes { try unsafe file.read(into: $0) } == 3)
                #expect(bytes == [1, 2, 3])
                #expect(reads(mount) == round)
            }
        }
    }

    @Test func `a stream has no position`() throws {
        try withMount([MemoryNode("a", inode: 10, content: [1, 2, 3], caching: .stream)]) { mount in
            let file = try mount.open("a")
            defer { try? file.close() }
            #expect(lseek(file.rawValue, 0, SEEK_SET) == -1)
            #expect(errno == ESPIPE)
            var bytes = [UInt8](repeating: 0, count: 2)
            for _ in 0..<2 {
                #expect(try unsafe bytes.withUnsafeMutableBytes { try unsafe file.read(into: $0) } == 2)
                #expect(bytes == [1, 2])
            }
        }
    }

    @Test func `on one handle of a stream a blocked read stops no write`() throws {
        let isWritten = Monitor(false)
        let node = MemoryNode(
            "a",
            inode: 10,
            content: [1],
            caching: .stream,
            onRead: { () throws(Errno) in
                if isWritten.wait(timeout: .seconds(20), until: { $0 ? true : nil }) == nil { throw .timedOut }
            },
            onWrite: { (_) throws(Errno) in isWritten.update { $0 = true } }
        )
        try withMount([node]) { mount in
            let file = try mount.open("a", .readWrite)
            defer { try? file.close() }
            let outcome = Monitor<Int?>(nil)
            startThread("reader") {
                var byte: UInt8 = 0
                let count = unsafe Glibc.read(file.rawValue, &byte, 1)
                outcome.update { $0 = count }
            }
            #expect(eventually { mount.tree.calls.contains("read") })
            #expect(try file.writeAll([7]) == 1)
            #expect(outcome.wait(timeout: .seconds(20)) { $0 } == 1)
        }
    }

    @Test func `a node that is fresh at each lookup has one inode number and no common cache`() throws {
        let node = MemoryNode("a", inode: 10, content: [1], isFreshAtEachLookup: true)
        try withMount([node]) { mount in
            let first = try mount.open("a")
            defer { try? first.close() }
            let second = try mount.open("a")
            defer { try? second.close() }
            var (one, two) = (stat(), stat())
            try check(Int(unsafe fstat(first.rawValue, &one)))
            try check(Int(unsafe fstat(second.rawValue, &two)))
            #expect(one.st_ino == 10)
            #expect(two.st_ino == 10)
            #expect(mount.tree.knownNodes.count >= 2)
            #expect(try first.bytes(in: 0..<1) == [1])
            node.content.withLock { $0 = [2] }
            #expect(try second.bytes(in: 0..<1) == [2])
        }
    }
}
