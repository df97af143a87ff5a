import FUSEServer
import FileSystem
import Glibc
import SystemPackage
import TestSupport
import Testing

@Suite(.enabled(if: canMount, whyNot))
struct DirectoryTests {
    @Test func `a large directory is listed completely`() throws {
        let names = Set((0..<5000).map { "entry number \($0)" })
        try withMount(names.enumerated().map { MemoryNode($1, inode: UInt64($0) + 10) }) { mount in
            let found = try list(mount.path)
            #expect(found.count == 5002)
            #expect(Set(found) == names.union([".", ".."]))
        }
    }

    @Test func `a listing is of the moment of opendir or rewinddir`() throws {
        try withMount([MemoryNode("a", inode: 10)]) { mount in
            guard let directory = unsafe opendir(mount.path) else { throw Errno(rawValue: errno) }
            defer { unsafe closedir(directory) }
            mount.tree.add(MemoryNode("b", inode: 11))
            #expect(unsafe Set(names(directory)) == [".", "..", "a"])
            // As POSIX says: from there on it is what the directory holds now.
            unsafe rewinddir(directory)
            #expect(unsafe Set(names(directory)) == [".", "..", "a", "b"])
            #expect(try Set(list(mount.path)) == [".", "..", "a", "b"])
        }
    }

    @Test func `a listing tells kinds and inodes`() throws {
        try withMount([MemoryNode("l", inode: 77, kind: .symbolicLink)]) { mount in
            guard let directory = unsafe opendir(mount.path) else { throw Errno(rawValue: errno) }
            defer { unsafe closedir(directory) }
            var kinds: [UInt64: Int] = [:]
            while let entry = unsafe readdir(directory) {
                unsafe kinds[UInt64(entry.pointee.d_ino)] = Int(entry.pointee.d_type)
            }
            #expect(kinds[1] == Int(DT_DIR))
            #expect(kinds[77] == Int(DT_LNK))
        }
    }

    @Test func `a symbolic link shows its target`() throws {
        let target = "/somewhere/über"
        try withMount([MemoryNode("l", inode: 10, kind: .symbolicLink, content: Array(target.utf8))]) { mount in
            var buffer = [CChar](repeating: 0, count: 100)
            let count = unsafe readlink("\(mount.path)/l", &buffer, buffer.count)
            try check(count)
            #expect(String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self) == target)
        }
    }

    @Test func `names can't be made, changed or removed`() throws {
        try withMount([MemoryNode("a", inode: 10)]) { mount in
            let (old, new) = ("\(mount.path)/a", "\(mount.path)/new")
            let attempts: [(String, () -> Int32)] = [
                ("mkdir", { unsafe mkdir(new, 0o700) }),
                ("unlink", { unsafe unlink(old) }),
                ("rename", { unsafe rename(old, new) }),
                ("create", { unsafe creat(new, 0o600) }),
                ("mknod", { unsafe mknod(new, S_IFIFO | 0o600, 0) }),
                ("symlink", { unsafe symlink("x", new) }),
                ("link", { unsafe link(old, new) }),
                ("setxattr", { Hidden.setxattr(old) }),
                ("removexattr", { Hidden.removexattr(old) }),
            ]
            for (name, attempt) in attempts {
                #expect(attempt() == -1, "\(name)")
                #expect(errno == EPERM, "\(name)")
            }
        }
    }

    @Test func `extended attributes are the tree's`() throws {
        try withMount([MemoryNode("a", inode: 10, content: [1])]) { mount in
            let path = "\(mount.path)/a"
            let script = """
                import os, sys, errno
                path = sys.argv[1]
                assert os.listxattr(path) == ['user.one', 'user.more'], os.listxattr(path)
                assert os.getxattr(path, 'user.one') == b'\\x01'
                assert os.getxattr(path, 'user.more') == b'\\x07' * 1000
                for name, number in [('user.none', errno.ENODATA), ('security.capability', errno.EOPNOTSUPP)]:
                    try:
                        os.getxattr(path, name)
                        sys.exit(name)
                    except OSError as e:
                        assert e.errno == number, e
                """
            try TestSupport.run("python3", "-c", script, path).checked()
        }
    }

    @Test func `a name that isn't UTF-8 does not exist, and the tree is not asked`() throws {
        try withMount([]) { mount in
            let path: [CChar] = Array(mount.path.utf8CString.dropLast()) + [0x2F, -1, -2, 0]
            #expect(unsafe access(path, F_OK) == -1)
            #expect(errno == ENOENT)
            #expect(!mount.tree.calls.contains { $0.hasPrefix("lookup") })
        }
    }

    @Test func `the kernel gives back every reference that it was given`() throws {
        try withMount([MemoryNode("a", inode: 10), MemoryNode("b", inode: 11)]) { mount in
            for name in ["a", "b", "a"] { _ = try mount.content(of: name) }
            #expect(mount.tree.references >= 2)
            // Its caches let go of the nodes when asked.
            mount.session.cache.invalidate(name: "a", in: .root)
            mount.session.cache.invalidate(name: "b", in: .root)
            #expect(eventually { mount.tree.references == 0 })
        }
    }

    @Test func `statfs shows a full file system of the tree's size`() throws {
        try withMount([]) { mount in
            var found = statvfs()
            try check(Int(unsafe statvfs(mount.path, &found)))
            #expect(found.f_blocks * found.f_frsize == 10 << 20)
            #expect(found.f_bavail == 0)
            #expect(found.f_files == 7)
        }
    }

    private func list(_ path: String) throws -> [String] {
        guard let directory = unsafe opendir(path) else { throw Errno(rawValue: errno) }
        defer { unsafe closedir(directory) }
        return unsafe names(directory)
    }

    private func names(_ directory: OpaquePointer) -> [String] {
        var names: [String] = []
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
                unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            names.append(name)
        }
        return names
    }
}
