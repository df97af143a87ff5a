import FileSystem
import Platform
import SystemPackage
import TestSupport
import Testing
import VolumeTree
import Volumes

/// Symbolic links of a volume lead where they would lead if the volume were the root, and never out of it.
struct LinkResolutionTests {
    /// Random trees full of links: what the rewritten links lead to in a plain folder is what the kernel finds for the original ones
    /// below a changed root (`openat2` with RESOLVE_IN_ROOT).
    @Test(arguments: SeededGenerator.seeds(6))
    func linksLeadWhereTheyWouldBelowAChangedRoot(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let volume = MemoryVolume()
        var folders: [(path: String, file: FileID)] = [("", volume.root)]
        var lines: [String] = []
        for number in 0..<12 {
            let parent = folders.randomElement(using: &generator) ?? folders[0]
            let path = "\(parent.path)d\(number)"
            folders.append((path + "/", volume.addFolder("d\(number)", to: parent.file)))
            lines.append("d\t\(path)")
        }
        for number in 0..<8 {
            let parent = folders.randomElement(using: &generator) ?? folders[0]
            volume.add("f\(number)", to: parent.file, MemoryVolume.attributes(.regular))
            lines.append("f\t\(parent.path)f\(number)")
        }
        let words = (0..<12).map { "d\($0)" } + (0..<3).map { "f\($0)" } + (0..<25).map { "l\($0)" }
        var links: [(path: String, name: String, folder: FileID, target: String)] = []
        for number in 0..<25 {
            let parent = folders.randomElement(using: &generator) ?? folders[0]
            var target = (0..<Int.random(in: 1...6, using: &generator)).map { _ in
                Bool.random(using: &generator)
                    ? ["..", "..", ".", ""].randomElement(using: &generator) ?? ""
                    : Bool.random(using: &generator)
                        ? folders.randomElement(using: &generator)?.path.dropLast().description ?? ""
                        : words.randomElement(using: &generator) ?? ""
            }.joined(separator: "/")
            if Int.random(in: 0..<3, using: &generator) == 0 { target = "/" + target }
            if target.isEmpty { target = "/" }
            volume.addLink("l\(number)", to: parent.file, target: target)
            links.append((parent.path + "l\(number)", "l\(number)", parent.file, target))
        }
        let shown = VolumeScene(volume).volume
        for link in links {
            let found = try #require(try shown.lookup(Array(link.name.utf8), in: link.folder))
            let rewritten = String(decoding: try shown.linkTarget(of: found.file), as: UTF8.self)
            lines.append("l\t\(link.path)\t\(link.target)\t\(rewritten)")
        }
        try withScratchFolder { scratch in
            try scratch.write(Array(lines.joined(separator: "\n").utf8), to: "lines")
            try run("python3", "-c", Self.comparison, scratch.path).checked()
        }
    }

    private static let comparison = #"""
        import ctypes, os, struct, sys
        base = os.path.realpath(sys.argv[1])
        trees = [base + "/a", base + "/b/x/y"]
        for tree in trees: os.makedirs(tree)
        lines = [line.split("\t") for line in open(base + "/lines").read().split("\n")]
        for line in lines:
            for number, tree in enumerate(trees):
                path = tree + "/" + line[1]
                if line[0] == "d": os.makedirs(path, exist_ok=True)
                elif line[0] == "f": open(path, "w").close()
                else: os.symlink(line[2 + number], path)
        libc = ctypes.CDLL(None, use_errno=True)
        root = os.open(trees[0], os.O_PATH)
        def in_root(path):
            how = struct.pack("QQQ", os.O_PATH, 0, 0x10)
            fd = libc.syscall(437, root, path.encode(), how, ctypes.c_size_t(24))
            if fd < 0: return None
            name = os.readlink("/proc/self/fd/%d" % fd)
            os.close(fd)
            return os.path.relpath(name, trees[0])
        found = 0
        for line in lines:
            if line[0] != "l": continue
            expected = in_root(line[1])
            real = os.path.realpath(trees[1] + "/" + line[1])
            assert real == trees[1] or real.startswith(trees[1] + "/"), (line, real)
            assert not line[3].startswith("/"), line
            if expected is None: continue
            found += 1
            assert os.path.exists(real), (line, expected)
            assert os.path.relpath(real, trees[1]) == expected, (line, real, expected)
        assert found > 3, found
        """#

    @Test(arguments: [
        ("x", "x"), ("a/b", "a/b"), ("./a//b/", "./a//b/"), ("../x", "../x"), ("../../x", "../../x"),
        ("../../../../x", "../../x"), ("/", "../.."), ("/etc/x", "../../etc/x"), ("..", ".."), (".", "."),
        ("gone/../../x", "../../one/x"), ("a\u{0}b", "a\\x00b"),
    ])
    func targets(_ stored: String, _ expected: String) throws {
        let volume = MemoryVolume()
        let inner = volume.addFolder("two", to: volume.addFolder("one"))
        let link = volume.addLink("link", to: inner, target: stored)
        let shown = VolumeScene(volume).volume
        _ = try shown.lookup(Array("link".utf8), in: inner)
        #expect(String(decoding: try shown.linkTarget(of: link), as: UTF8.self) == expected)
    }

    @Test func pathsOfOtherVolumesLeadNowhere() throws {
        let volume = MemoryVolume()
        let target = LinkTarget(base: .elsewhere, path: Array("server/share/x".utf8))
        let link = volume.add(Array("link".utf8), MemoryVolume.attributes(.symbolicLink), target: target)
        let shown = VolumeScene(volume).volume
        _ = try shown.lookup(Array("link".utf8), in: nil)
        #expect(try shown.linkTarget(of: link) == Array(#"\\server\share\x"#.utf8))
    }

    /// The kernel looks it up again when it hears ESTALE.
    @Test func aLinkThatWasNotLookedUpIsStale() throws {
        let volume = MemoryVolume()
        let link = volume.addLink("link", target: "x")
        #expect(throws: Errno.staleNFSFileHandle) { try VolumeScene(volume).volume.linkTarget(of: link) }
    }

    @Test func loopsOfLinksAndFoldersEnd() throws {
        let volume = MemoryVolume()
        volume.addLink("a", target: "b/../c")
        let b = volume.addLink("b", target: "a/../b")
        let inner = volume.addFolder("inner")
        volume.state.withLock { $0.nodes[inner]?.parent = inner }
        let lost = volume.addLink("lost", to: inner, target: "/x")
        let shown = VolumeScene(volume).volume
        _ = try shown.lookup(Array("b".utf8), in: nil)
        _ = try shown.linkTarget(of: b)
        _ = try shown.lookup(Array("lost".utf8), in: inner)
        #expect(throws: Errno.ioError) { try shown.linkTarget(of: lost) }
    }
}
