import FUSEServer
import FileSystem
import Glibc
import Platform
import SystemPackage
import Testing

@Suite(.enabled(if: canMount, whyNot))
struct EndTests {
    /// Whether a session ends by itself.
    private func ends(_ session: FUSESession) -> Bool {
        let hasEnded = Monitor(false)
        startThread("waiter") {
            session.waitUntilEnded()
            hasEnded.update { $0 = true }
        }
        return hasEnded.wait(timeout: .seconds(20)) { $0 ? true : nil } ?? false
    }

    @Test(arguments: [["umount"], ["fusermount3", "-u"]])
    func `an unmount from outside ends the session`(_ command: [String]) throws {
        try withMount([MemoryNode("a", inode: 10, content: [1])]) { mount in
            #expect(isMounted(mount.path))
            let file = try mount.open("a")
            #expect(run(command + [mount.path]) != 0, "a busy file system must not be unmounted")
            try file.close()
            #expect(eventually { run(command + [mount.path]) == 0 })
            #expect(ends(mount.session))
            #expect(!isMounted(mount.path))
            // The kernel may have dropped its RELEASE; the tree gets it all the same.
            #expect(mount.tree.calls.filter { $0 == "release" }.count == 1)
        }
    }

    @Test func `stop with a file open frees the mount point and the file's holder`() throws {
        try withMount([MemoryNode("a", inode: 10, content: [1], caching: .direct)]) { mount in
            let file = try mount.open("a")
            defer { try? file.close() }
            let start = ContinuousClock.now
            mount.session.stop()
            #expect(ContinuousClock.now - start < .seconds(10))
            #expect(!isMounted(mount.path))
            #expect(mount.tree.calls.filter { $0 == "release" }.count == 1)
            // A child that another test has just forked may hold the kernel's side a moment longer; until then a read is cut off instead.
            let isCutOff = eventually {
                do throws(any Error) {
                    _ = try file.bytes(in: 0..<1)
                    return false
                } catch {
                    return error as? Errno == Errno(rawValue: ENOTCONN)
                }
            }
            #expect(isCutOff, "programs that hold files get ENOTCONN")
            #expect(ends(mount.session))
            mount.session.stop()
            #expect(mount.tree.calls.filter { $0 == "release" }.count == 1)
        }
    }

    @Test func `stop may be called by several at once`() throws {
        try withMount([MemoryNode("a", inode: 10, content: [1])]) { mount in
            let file = try mount.open("a")
            defer { try? file.close() }
            let done = Monitor(0)
            for _ in 0..<4 {
                startThread("stopper") {
                    mount.session.stop()
                    done.update { $0 += 1 }
                }
            }
            #expect(done.wait(timeout: .seconds(20)) { $0 == 4 ? true : nil } == true)
            #expect(!isMounted(mount.path))
        }
    }

    @Test func `stop hands over what programs have stored through mmap`() throws {
        let node = MemoryNode("a", inode: 10, content: [UInt8](repeating: 1, count: 4096))
        try withMount([node]) { mount in
            let file = try mount.open("a", .readWrite)
            defer { try? file.close() }
            let memory = unsafe mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file.rawValue, 0)
            guard let memory = unsafe memory, unsafe memory != MAP_FAILED else { throw Errno(rawValue: errno) }
            defer { unsafe munmap(memory, 4096) }
            unsafe memory.storeBytes(of: 42, toByteOffset: 7, as: UInt8.self)
            mount.session.stop()
            #expect(node.content.withLock { $0[7] } == 42)
        }
    }

    @Test func `stop leaves a call behind that hangs`() throws {
        let isFree = Monitor(false)
        let node = MemoryNode(
            "a",
            inode: 10,
            content: [1],
            onRead: { () throws(Errno) in _ = isFree.wait(timeout: .seconds(60)) { $0 ? true : nil } }
        )
        try withMount([node]) { mount in
            defer { isFree.update { $0 = true } }
            let outcome = Monitor<Bool?>(nil)
            startThread("reader") {
                let bytes = try? mount.content(of: "a")
                outcome.update { $0 = bytes == nil }
            }
            #expect(eventually { mount.tree.calls.contains("read") })
            let start = ContinuousClock.now
            mount.session.stop(limit: .seconds(1))
            #expect(ContinuousClock.now - start < .seconds(30))
            #expect(!isMounted(mount.path))
            // The reader has been told, although the tree has not answered.
            #expect(outcome.wait(timeout: .seconds(20)) { $0 } == true)
        }
    }

    @Test func `stop interrupts slow requests`() throws {
        let node = MemoryNode(
            "ctl",
            inode: 10,
            caching: .stream,
            isSlow: true,
            onWrite: { interruption throws(Errno) in
                let isRaised = Monitor(false)
                interruption.observe { isRaised.update { $0 = true } }
                if isRaised.wait(timeout: .seconds(30), until: { $0 ? true : nil }) == nil { throw .timedOut }
                throw .interrupted
            }
        )
        try withMount([node]) { mount in
            let outcome = Monitor<Int32?>(nil)
            let hasOpened = Monitor(false)
            startThread("writer") {
                guard let file = try? mount.open("ctl", .writeOnly) else { return }
                hasOpened.update { $0 = true }
                let count = unsafe Glibc.write(file.rawValue, "x", 1)
                let error = errno
                outcome.update { $0 = count == -1 ? error : 0 }
                try? file.close()
            }
            #expect(hasOpened.wait(timeout: .seconds(20)) { $0 ? true : nil } == true)
            mount.session.stop()
            let error = outcome.wait(timeout: .seconds(20)) { $0 }
            #expect(error == EINTR || error == ENOTCONN || error == ECONNABORTED)
            #expect(eventually { mount.tree.calls.contains("release") })
        }
    }

    @Test func `what is mounted over ours is not unmounted`() throws {
        try withMount([MemoryNode("a", inode: 10)]) { mount in
            try check(Int(unsafe Glibc.mount("none", mount.path, "tmpfs", 0, nil)))
            defer { unsafe umount2(mount.path, Int32(MNT_DETACH)) }
            mount.session.stop()
            #expect(isMounted(mount.path))
            try check(Int(unsafe umount2(mount.path, Int32(MNT_DETACH))))
        }
    }

    @Test func `a session that is mounted but never started leaves nothing behind`() throws {
        try withTemporaryDirectory { path in
            do {
                let session = try FUSESession(tree: MemoryTree(), options: MountOptions(mountPoint: path))
                try session.mount()
                #expect(isMounted(path))
            }
            #expect(!isMounted(path))
        }
    }
}
