import DiskTree
import FileSystem
import Platform
import SystemPackage
import TestSupport
import Testing

/// Names, nodes and attributes (CONTRACT.md §1).
struct TreeShapeTests {
    @Test func namesOfTheTree() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            #expect(try scene.names("") == ["ctl", "attached", "mounts"])
            #expect(try scene.names("mounts").isEmpty)
            #expect(try scene.names("attached").isEmpty)
            try scene.attach("b")
            try scene.attach("a")
            #expect(try scene.names("attached") == ["a", "b"])
            #expect(try scene.names("mounts") == ["a", "b"])
            #expect(try scene.names("mounts/a").isEmpty)
            #expect(try scene.names("attached/a") == ["disk", "info", "info.json", "image"])
            try scene.echo("detach b")
            #expect(try scene.names("attached") == ["a"])
            #expect(throws: Errno.noSuchFileOrDirectory) { try scene.node("attached/b") }
            #expect(throws: Errno.noSuchFileOrDirectory) { try scene.node("mounts/b") }
        }
    }

    @Test(arguments: ["no-drive-letter", "no-local-host"])
    func whatIsNotToBeMountedHasNoFolderOfVolumes(_ word: String) throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            try scene.attach("a", word)
            #expect(try scene.names("attached") == ["a"])
            #expect(try scene.names("mounts").isEmpty)
            #expect(throws: Errno.noSuchFileOrDirectory) { try scene.node("mounts/a") }
        }
    }

    @Test func whatIsNotThere() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            try scene.attach("a")
            for path in ["x", "attached/x", "attached/a/x", "attached/a/p1", "attached/.."] {
                #expect(throws: Errno.noSuchFileOrDirectory, "\(path)") { try scene.node(path) }
            }
            #expect(throws: Errno.notDirectory) { try scene.node("ctl/x") }
            #expect(throws: Errno.notDirectory) { try scene.node("attached/a/disk/x") }
            #expect(throws: Errno.notDirectory) { try scene.names("attached/a/disk") }
            #expect(throws: Errno.isDirectory) { try scene.open("attached/a") }
            #expect(throws: Errno.noSuchFileOrDirectory) {
                try scene.tree.attributes(of: NodeID(rawValue: 77 << 8), file: nil)
            }
        }
    }

    @Test func theLinkLeadsToTheImage() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            try scene.attach("a")
            let node = try scene.node("attached/a/image")
            #expect(try scene.tree.linkTarget(of: node) == Array(scratch.path("a.vhd").utf8))
            #expect(try scene.attributes("attached/a/image").kind == .symbolicLink)
            #expect(throws: Errno.invalidArgument) {
                try scene.tree.linkTarget(of: try scene.node("attached/a/disk"))
            }
        }
    }

    /// Two writers must not meet at the kernel's inode lock; programs see one file.
    @Test func eachLookUpOfCtlIsAnotherNodeOfOneFile() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            let one = try scene.tree.lookup("ctl", in: .root)
            let two = try scene.tree.lookup("ctl", in: .root)
            #expect(one.node != two.node)
            #expect(one.answer.attributes.inode == two.answer.attributes.inode)
            #expect(one.nameValidity == 0)
            #expect(one.answer.attributes.permissions == 0o666)
        }
    }

    /// The kernel keeps pages by node: a new disk of an old name is another node.
    @Test func nodesAreNeverUsedAgain() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            var seen: Set<NodeID> = []
            for _ in 0..<5 {
                try scene.attach("a")
                let node = try scene.node("attached/a/disk")
                #expect(seen.insert(node).inserted)
                try scene.echo("detach a")
                #expect(throws: Errno.noSuchFileOrDirectory) { try scene.tree.attributes(of: node, file: nil) }
            }
        }
    }

    // MARK: Attributes

    @Test func attributesOfADisk() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            try scene.attach("a", "mode=0640")
            let disk = try scene.attributes("attached/a/disk")
            let image = try FilePath(scratch.path("a.vhd")).status()
            #expect(disk.kind == .regular)
            #expect(disk.size == 65_536)
            #expect(disk.permissions == 0o640)
            #expect(disk.allocatedBytes == min(65_536, image.blocks * 512))
            #expect(disk.modified == Timestamp(seconds: image.modifiedSeconds, nanoseconds: image.modifiedNanoseconds))
            #expect(try scene.attributes("attached/a").permissions == 0o550)
            #expect(try scene.attributes("attached/a/info").permissions == 0o440)
        }
    }

    @Test func usedSpaceGrowsAndShrinksWithTheImage() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            try scene.attach("a")
            let empty = try scene.attributes("attached/a/disk").allocatedBytes
            let file = try scene.open("attached/a/disk", writes: true)
            try file.write([UInt8](repeating: 3, count: 32_768), at: 16_384)
            try file.file.synchronize()
            #expect(try scene.attributes("attached/a/disk").allocatedBytes >= empty + 32_768)
            try file.close()
        }
    }

    @Test func aReadOnlyDiskHasNoWriteBit() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            try scene.attach("a", "readonly mode=0666")
            #expect(try scene.attributes("attached/a/disk").permissions == 0o444)
            #expect(throws: Errno.readOnlyFileSystem) { try scene.open("attached/a/disk", writes: true) }
            #expect(throws: Errno.readOnlyFileSystem) {
                try scene.open("attached/a/disk", reads: false, writes: true)
            }
        }
    }

    @Test func nobodyChangesAttributes() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            try scene.attach("a")
            let changes = [
                AttributeChanges(permissions: 0o777), AttributeChanges(owner: 5), AttributeChanges(group: 5),
                AttributeChanges(size: 1), AttributeChanges(size: 65_537), AttributeChanges(size: 0),
            ]
            for path in ["attached/a/disk", "attached/a/info", "attached/a", "attached", ""] {
                let node = try scene.node(path)
                for change in changes {
                    #expect(throws: Errno.notPermitted, "\(path) \(change)") {
                        try scene.tree.change(change, of: node, file: nil, caller: .root)
                    }
                }
                _ = try scene.tree.change(AttributeChanges(times: true), of: node, file: nil, caller: .root)
            }
        }
    }

    /// `O_TRUNC` comes without a file while one is open for writing; `truncate` and `ftruncate` differ from that.
    @Test func truncation() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            try scene.attach("a")
            let node = try scene.node("attached/a/disk")
            func truncate(_ size: UInt64, _ file: TestFile?) throws(Errno) -> UInt64 {
                let changes = AttributeChanges(size: size)
                return try scene.tree.change(changes, of: node, file: file?.file, caller: .root).attributes.size
            }
            #expect(try truncate(65_536, nil) == 65_536)
            #expect(throws: Errno.notPermitted) { try truncate(0, nil) }
            let reader = try scene.open("attached/a/disk")
            #expect(throws: Errno.notPermitted) { try truncate(0, nil) }
            let writer = try scene.open("attached/a/disk", writes: true)
            #expect(try truncate(0, nil) == 65_536)
            #expect(try truncate(65_536, writer) == 65_536)
            for size: UInt64 in [0, 1, 65_535, 65_537, .max] {
                #expect(throws: Errno.notPermitted) { try truncate(size, writer) }
            }
            #expect(try writer.read(4096..<4097) == [1])
            try writer.close()
            #expect(throws: Errno.notPermitted) { try truncate(0, nil) }
            try reader.close()
            // Shells open ctl so.
            let control = try scene.node("ctl")
            _ = try scene.tree.change(AttributeChanges(size: 0), of: control, file: nil, caller: .root)
        }
    }

    @Test func theFileSystemCountsItsDisks() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            #expect(try scene.tree.statistics(of: .root).totalBytes == 0)
            try scene.attach("a")
            try scene.attach("b")
            #expect(try scene.tree.statistics(of: .root).totalBytes == 131_072)
        }
    }
}
