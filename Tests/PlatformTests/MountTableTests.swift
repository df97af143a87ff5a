import Glibc
import SystemPackage
import Testing

@testable import Platform

@Suite struct MountTableTests {
    @Test func readsEveryField() throws {
        let line =
            #"36 35 259:300 /a\040b /mnt/x\011\134y rw,noatime master:1 propagate_from:2 - fuse.vhdfs img\0431 rw,user_id=1000,group_id=5"#
        let mount = try #require(Mount(line: line.utf8))
        // What makedev(259, 300) gives.
        #expect(mount.device == 0x11032C)
        #expect(mount.root == "/a b")
        #expect(mount.mountPoint == FilePath("/mnt/x\t\\y"))
        #expect(mount.type == "fuse.vhdfs")
        #expect(mount.source == "img#1")
        #expect(mount.options == ["rw", "noatime"])
        #expect(mount.superOptions == ["rw", "user_id=1000", "group_id=5"])
        #expect(mount.user == 1000)
    }

    @Test func fieldsMayBeEmptyOrMissing() throws {
        let mount = try #require(Mount(line: "1 0 0:5 / /m rw - tmpfs  rw".utf8))
        #expect(mount.source == "")
        #expect(mount.user == nil)
        let broken = [
            "", "1 0 0:5 / /m rw", "1 0 0:5 / /m rw - tmpfs x", "1 0 5 / /m rw - tmpfs x rw",
            "1 0 a:b / /m rw - t x rw",
        ]
        for line in broken { #expect(Mount(line: line.utf8) == nil, "\(line)") }
    }

    @Test(arguments: [#"/a\"#, #"/a\04"#, #"/a\999"#, #"/a\777"#])
    func whatIsNoEscapeStaysAsItIs(path: String) throws {
        let mount = try #require(Mount(line: "1 0 0:5 / \(path) rw - tmpfs x rw".utf8))
        #expect(mount.mountPoint.string == path)
    }

    @Test func findsRealMounts() throws {
        let mount = try #require(try Mount.at("/proc"))
        #expect(mount.type == "proc")
        #expect(try FilePath("/proc/self/mountinfo").status().identity.device == mount.device)
        #expect(try Mount.at("/proc/self") == nil)
    }

    @Test(.enabled(if: geteuid() == 0, "only root can mount"))
    func theLaterMountIsOnTop() throws {
        let scratch = try ScratchFolder()
        let script = """
            mount -t tmpfs one "$1" && mount -t tmpfs "two #2" "$1" && cat /proc/self/mountinfo
            """
        // A mount namespace of its own takes the mounts with it.
        let text = try ChildProcess(
            "unshare",
            "-m",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
            "sh",
            scratch.path.string
        ).readAll()
        let mounts = text.utf8.split(separator: UInt8(ascii: "\n")).compactMap { Mount(line: $0) }
        let there = mounts.filter { $0.mountPoint == scratch.path }
        #expect(there.map(\.source) == ["one", "two #2"])
    }
}
