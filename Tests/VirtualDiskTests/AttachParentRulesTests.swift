import SystemPackage
import TestSupport
import Testing
import VirtualDisk

/// How the parents of differencing disks are found and judged (`formats.md` §2.8).
struct AttachParentRulesTests {
    /// A child in `folder/`, its parent wherever the test puts it.
    private func child(
        _ scratch: ScratchFolder,
        _ locators: VHDBuilder.Locator...,
        name: String = "",
        at path: String = "folder/child.vhd",
        change: (inout VHDBuilder) -> Void = { _ in }
    ) throws {
        var builder = VHDBuilder.child(of: .small())
        builder.locators = locators
        builder.parentName = name
        change(&builder)
        if path.hasPrefix("folder/") { try run("mkdir", "-p", scratch.path("folder")).checked() }
        try scratch.write(builder.build().content, to: path)
    }

    /// Expects the child to show the parent in `path`, found in that way.
    private func expectParent(
        _ path: String,
        by origin: String,
        of request: String = "folder/child.vhd",
        _ scene: AttachScene,
        at location: SourceLocation = #_sourceLocation
    ) throws {
        let disk = try scene.attach("\(request) name=x")
        #expect(try disk.bytes(4096..<8192) == [UInt8](repeating: 1, count: 4096), sourceLocation: location)
        let line = "chain: \(scene.scratch.path(path)) (01010101-0101-0101-0101-010101010101, found by \(origin))"
        #expect(disk.infoText.contains(line), "\(disk.infoText)", sourceLocation: location)
        try scene.detach("x")
    }

    @Test func relative() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .relative(".\\base\\parent.vhd"))
            try scratch.makeFolder("folder/base")
            try scene.makeVHD("folder/base/parent.vhd")
            try expectParent("folder/base/parent.vhd", by: "relative-path", scene)
        }
    }

    @Test func relativeUpwards() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .relative("..\\parent.vhd"))
            try scene.makeVHD("parent.vhd")
            try expectParent("parent.vhd", by: "relative-path", scene)
        }
    }

    /// A path is relative to where the child really is, not to the link that led there.
    @Test func relativeToTheChildItself() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .relative("parent.vhd"))
            try scene.makeVHD("folder/parent.vhd")
            try run("ln", "-s", "folder/child.vhd", scratch.path("link.vhd")).checked()
            try expectParent("folder/parent.vhd", by: "relative-path", of: "link.vhd", scene)
        }
    }

    @Test(arguments: [
        "C:\\images\\parent.vhd", "\\\\server\\share\\images\\parent.vhd", "\\\\?\\C:\\images\\parent.vhd",
    ])
    func absoluteBelowAFolderAboveTheChild(_ path: String) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .absolute(path))
            try scratch.makeFolder("images")
            try scene.makeVHD("images/parent.vhd")
            try expectParent("images/parent.vhd", by: "absolute-path", scene)
        }
    }

    @Test func aURL() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .url("file://localhost/images/my%20parent.vhd"))
            try scratch.makeFolder("images")
            try scene.makeVHD("images/my parent.vhd")
            try expectParent("images/my parent.vhd", by: "url", scene)
        }
    }

    @Test(arguments: ["parent.vhd", "D:\\elsewhere\\parent.vhd"])
    func aNameBeside(_ name: String) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, name: name)
            try scene.makeVHD("folder/parent.vhd")
            try expectParent("folder/parent.vhd", by: "name", scene)
        }
    }

    @Test func caseDoesNotMatter() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .relative(".\\BASE\\Parent.VHD"))
            try scratch.makeFolder("folder/Base")
            try scene.makeVHD("folder/Base/pARENT.vhd")
            try expectParent("folder/Base/pARENT.vhd", by: "relative-path", scene)
        }
    }

    /// An earlier candidate with another id does not hide the right one.
    @Test func theIdDecidesAmongCandidates() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .relative("wrong.vhd"), name: "parent.vhd")
            try scene.makeVHD("folder/wrong.vhd", fill: 9)
            try scene.makeVHD("folder/parent.vhd")
            try expectParent("folder/parent.vhd", by: "name", scene)
        }
    }

    @Test func parentWords() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .relative("parent.vhd"))
            // What parent= names comes first.
            try scene.makeVHD("folder/parent.vhd", fill: 1) { $0.disk.store([5], at: 4096) }
            try scene.makeVHD("elsewhere.vhd")
            try expectParent("elsewhere.vhd", by: "parent=", of: "folder/child.vhd parent=elsewhere.vhd", scene)
        }
    }

    @Test func parentWordsOfALongerChainInAnyOrder() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            let base = try scene.makeVHD("p1.vhd")
            let middle = VHDBuilder.child(of: base, fill: 50)
            try scratch.write(middle.build().content, to: "p2.vhd")
            try scratch.write(VHDBuilder.child(of: middle, fill: 51).build().content, to: "c.vhd")
            for order in ["parent=p1.vhd parent=p2.vhd", "parent=p2.vhd parent=p1.vhd"] {
                try expectParent("p1.vhd", by: "parent=", of: "c.vhd \(order)", scene)
            }
        }
    }

    @Test func anUnusedParentWordIsRefused() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .relative("parent.vhd"))
            try scene.makeVHD("folder/parent.vhd")
            try scene.makeVHD("other.vhd", fill: 9)
            scene.expectRefusal(
                .vhdChildParentIDMismatch,
                scratch.path("other.vhd"),
                of: "folder/child.vhd parent=other.vhd"
            )
            scene.expectRefusal(.vhdChildParentIDMismatch, "other.vhd", of: "folder/parent.vhd parent=other.vhd")
        }
    }

    // MARK: Refusals

    @Test func aMissingParentNamesEveryPathTried() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .relative("..\\r.vhd"), .absolute("Q:\\dir\\a.vhd"), name: "n.vhd")
            scene.expectRefusal(
                .vhdParentVHDNotFound,
                scratch.path("folder/child.vhd"),
                scratch.path("r.vhd"),
                "/mnt/q/dir/a.vhd",
                scratch.path("folder/dir/a.vhd"),
                scratch.path("dir/a.vhd"),
                scratch.path("folder/n.vhd"),
                "parent=PATH",
                of: "folder/child.vhd"
            )
        }
    }

    @Test func anotherIdIsNamed() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .relative("parent.vhd"))
            try scene.makeVHD("folder/parent.vhd", fill: 9)
            scene.expectRefusal(
                .vhdChildParentIDMismatch,
                "01010101-0101-0101-0101-010101010101",
                "09090909-0909-0909-0909-090909090909",
                of: "folder/child.vhd"
            )
        }
    }

    @Test func anIdOfZerosIsNoParent() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .relative("parent.vhd")) { $0.parentID = [UInt8](repeating: 0, count: 16) }
            try scene.makeVHD("folder/parent.vhd") { $0.uniqueID = [UInt8](repeating: 0, count: 16) }
            scene.expectRefusal(.vhdInvalidType, of: "folder/child.vhd")
        }
    }

    @Test func whatIsNoVHDIsNoParent() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .relative("parent.vhd"))
            try scratch.write([UInt8](repeating: 3, count: 10_000), to: "folder/parent.vhd")
            scene.expectRefusal(.vhdDifferencingChainErrorInParent, "parent.vhd", of: "folder/child.vhd")
            try scratch.write(ISOBuilder.iso9660().content, to: "folder/parent.vhd")
            scene.expectRefusal(.vhdDifferencingChainErrorInParent, of: "folder/child.vhd")
        }
    }

    @Test(.timeLimit(.minutes(10)))
    func aFIFOAsParentDoesNotBlock() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .relative("parent.vhd"))
            try run("mkfifo", scratch.path("folder/parent.vhd")).checked()
            scene.expectRefusal(.vhdParentVHDAccessDenied, "fifo", of: "folder/child.vhd")
        }
    }

    @Test func aDiskThatIsItsOwnAncestor() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .relative("child.vhd")) { $0.parentID = $0.uniqueID }
            scene.expectRefusal(.vhdDifferencingChainCycleDetected, of: "folder/child.vhd")

            let a = VHDBuilder.child(of: .small(fill: 31), fill: 30, .relative("b.vhd"))
            let b = VHDBuilder.child(of: .small(fill: 30), fill: 31, .relative("a.vhd"))
            try scratch.write(a.build().content, to: "a.vhd")
            try scratch.write(b.build().content, to: "b.vhd")
            scene.expectRefusal(.vhdDifferencingChainCycleDetected, of: "a.vhd")
            scene.expectRefusal(.vhdDifferencingChainCycleDetected, of: "b.vhd readonly")
        }
    }

    @Test func depth256AndNoMore() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            var below = try scene.makeVHD("0.vhd")
            for index in 1...256 {
                var builder = VHDBuilder.child(of: below, .relative("\(index - 1).vhd"))
                builder.uniqueID = [UInt8](repeating: 0xAA, count: 14) + [UInt8(index >> 8), UInt8(index & 255)]
                try scratch.write(builder.build().content, to: "\(index).vhd")
                below = builder
            }
            // 0 to 255 are 256 layers.
            let disk = try scene.attach("255.vhd")
            #expect(try disk.bytes(4096..<4097) == [1])
            try scene.detach("255")
            scene.expectRefusal(.vhdDifferencingChainErrorInParent, "256", of: "256.vhd")
        }
    }

    // MARK: Sharing

    @Test func parentAndReadWriteExcludeEachOther() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .relative("parent.vhd"))
            try child(scratch, .relative("parent.vhd"), at: "folder/second.vhd") { $0.uniqueID[0] = 1 }
            try scene.makeVHD("folder/parent.vhd")

            try scene.attach("folder/child.vhd")
            scene.expectRefusal(.sharingViolation, "parent of child", of: "folder/parent.vhd")
            // Several may stand on one parent, and it may be looked at.
            try scene.attach("folder/second.vhd")
            try scene.attach("folder/parent.vhd readonly")
            try scene.detach("child")
            scene.expectRefusal(.sharingViolation, of: "folder/parent.vhd name=z")
            try scene.detach("parent")
            scene.expectRefusal(.sharingViolation, "parent of second", of: "folder/parent.vhd")
            try scene.detach("second")

            try scene.attach("folder/parent.vhd")
            scene.expectRefusal(.sharingViolation, "attached read/write as parent", of: "folder/child.vhd readonly")
            try scene.detach("parent")
            try scene.attach("folder/child.vhd")
            try scene.detach("child")
        }
    }

    /// A read-only attach of the parent comes first: the child may still be written.
    @Test func aParentThatIsAttachedReadOnlyServes() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .relative("parent.vhd"))
            try scene.makeVHD("folder/parent.vhd")
            try scene.attach("folder/parent.vhd readonly")
            let disk = try scene.attach("folder/child.vhd")
            try disk.store([77], at: 4096)
            #expect(try disk.bytes(4096..<4098) == [77, 1])
            try scene.detach("child")
            try scene.detach("parent")
        }
    }

    @Test func writesGoToTheLeafOnly() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .relative("parent.vhd"))
            try scene.makeVHD("folder/parent.vhd")
            let before = try (scratch.read("folder/parent.vhd"), timesAndSize(scratch.path("folder/parent.vhd")))
            let disk = try scene.attach("folder/child.vhd")
            try disk.store([77], at: 4096)
            try disk.zero(4608..<8192)
            #expect(
                try disk.bytes(4096..<8192) == [77] + [UInt8](repeating: 1, count: 511)
                    + [UInt8](repeating: 0, count: 3584)
            )
            try scene.detach("child")
            #expect(try scratch.read("folder/parent.vhd") == before.0)
            #expect(try timesAndSize(scratch.path("folder/parent.vhd")) == before.1)
        }
    }

    // MARK: Time stamps

    @Test func anotherTimeIsAWarning() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("parent.vhd")
            try run("touch", "-d", "2020-01-01 00:00:00 UTC", scratch.path("parent.vhd")).checked()
            let recorded: [(UInt32, Bool)] = [
                (0, false), (631_152_000, false), (631_152_001, false), (VHDBuilder.small().timestamp, false),
                (631_151_990, true),
            ]
            for (time, warns) in recorded {
                try child(scratch, .relative("..\\parent.vhd")) { $0.parentTimestamp = time }
                let disk = try scene.attach("folder/child.vhd readonly")
                #expect(disk.infoText.contains("parent.vhd: its time is not") == warns, "\(time) \(disk.infoText)")
                try scene.detach("child")
            }
        }
    }
}
