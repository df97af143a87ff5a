import BlockDevice
import ControlLanguage
import Glibc
import Platform
import SystemPackage
import TestSupport
import Testing
import VirtualDisk

/// Which files can be attached, by whom, under which name (CONTRACT.md §1, §3.4).
struct AttachFileRulesTests {
    @Test func missingFilesAndFolders() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            scene.expectRefusal(.fileNotFound, scratch.path("none.vhd"), of: "none.vhd")
            scene.expectRefusal(.pathNotFound, of: "none/a.vhd")
            scene.expectRefusal(.pathNotFound, of: "a.vhd/b.vhd")
            try run("ln", "-s", "none.vhd", scratch.path("dangling.vhd")).checked()
            scene.expectRefusal(.fileNotFound, of: "dangling.vhd")
            try run("ln", "-s", "loop.vhd", scratch.path("loop.vhd")).checked()
            scene.expectRefusal(.pathNotFound, of: "loop.vhd")
        }
    }

    @Test func aRelativePathNeedsAWorkingDirectory() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            let nowhere = Requester(credentials: Credentials(user: 0, group: 0))
            scene.expectRefusal(.pathNotFound, "absolute path", of: "a.vhd", as: nowhere)
            try scene.attach(scratch.path("a.vhd"), as: nowhere)
            try scene.detach("a")
        }
    }

    /// `..` behind a link goes up from where the link leads.
    @Test func dotsAfterALinkAreTheHosts() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scratch.makeFolder("x")
            try scratch.makeFolder("x/y")
            try scene.makeVHD("a.vhd", fill: 1)
            try scene.makeVHD("x/a.vhd", fill: 2)
            try run("ln", "-s", "x/y", scratch.path("link")).checked()
            let disk = try scene.attach("link/../a.vhd")
            #expect(disk.imagePath == FilePath(scratch.path("x/a.vhd")))
            try scene.detach(scratch.path("x/a.vhd"))
        }
    }

    @Test(.enabled(if: isRoot, "only root can pass for others"))
    func aFileThatTheCallerMayNotReadIsRefused() throws {
        try withScratchFolder { scratch in
            try run("chmod", "0755", scratch.path).checked()
            let scene = AttachScene(scratch, opener: try HelperOpener.start(), user: 4000)
            try scene.makeVHD("a.vhd")
            let user = scene.requester(4000, group: 4000)
            scene.expectRefusal(.accessDenied, "permission denied", of: "a.vhd readonly", as: user)
            try run("chmod", "0644", scratch.path("a.vhd")).checked()
            scene.expectRefusal(.accessDenied, of: "a.vhd", as: user)
            try scene.attach("a.vhd readonly", as: user)
            try scene.detach("a")
        }
    }

    @Test(.enabled(if: isRoot, "only root can pass for others"))
    func parentsAreOpenedWithTheCallersRightsToo() throws {
        try withScratchFolder { scratch in
            try run("chmod", "0755", scratch.path).checked()
            let scene = AttachScene(scratch, opener: try HelperOpener.start(), user: 4000)
            let parent = try scene.makeVHD("parent.vhd")
            try scratch.write(VHDBuilder.child(of: parent, .relative("parent.vhd")).build().content, to: "child.vhd")
            try run("chown", "4000", scratch.path("child.vhd")).checked()
            let user = scene.requester(4000, group: 4000)
            scene.expectRefusal(.vhdParentVHDAccessDenied, "parent.vhd", of: "child.vhd", as: user)
            // To read it is enough, though the child is attached read/write.
            try run("chmod", "0644", scratch.path("parent.vhd")).checked()
            try scene.attach("child.vhd", as: user)
            try scene.detach("child")
        }
    }

    @Test(.timeLimit(.minutes(10)))
    func whatIsNoFileIsNoVirtualDiskAndNeverBlocks() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scratch.makeFolder("folder")
            try run("mkfifo", scratch.path("fifo")).checked()
            for request in ["folder", "fifo", "fifo readonly", "fifo type=raw", "/dev/null", "/dev/null type=raw"] {
                scene.expectRefusal(.virtDiskNotVirtualDisk, of: request)
            }
            if isRoot { scene.expectRefusal(.virtDiskNotVirtualDisk, "type=", of: "/dev/loop0 readonly") }
        }
    }

    @Test func compressedAndEncryptedFiles() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            guard try run("chattr", "+c", scratch.path("a.vhd")).succeeded,
                try run("lsattr", scratch.path("a.vhd")).output.prefix(20).contains("c")
            else { return }
            scene.expectRefusal(
                .virtualDiskLimitation,
                "compressed",
                "support-compressed-volumes",
                of: "a.vhd readonly"
            )
            scene.expectRefusal(.virtualDiskLimitation, of: "a.vhd support-encrypted-files")
            try scene.attach("a.vhd support-compressed-volumes")
            try scene.detach("a")

            // A compressed parent is as bad.
            let parent = VHDBuilder.small()
            try scratch.write(VHDBuilder.child(of: parent, .relative("a.vhd")).build().content, to: "child.vhd")
            scene.expectRefusal(.virtualDiskLimitation, "a.vhd", of: "child.vhd")
        }
    }

    // MARK: Once only

    @Test func aFileIsAttachedOnce() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            try run("ln", scratch.path("a.vhd"), scratch.path("hard.vhd")).checked()
            try run("ln", "-s", "a.vhd", scratch.path("soft.vhd")).checked()
            for word in ["", " readonly"] {
                try scene.attach("a.vhd\(word)")
                for other in ["a.vhd", "a.vhd readonly", "hard.vhd", "soft.vhd readonly", "a.vhd type=raw"] {
                    scene.expectRefusal(.sharingViolation, "already attached as a", of: other)
                }
                try scene.detach("a")
            }
            // All claims are gone with it.
            try scene.attach("hard.vhd name=b")
            try scene.detach("b")
        }
    }

    @Test func aFailedAttachLeavesNoClaim() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            scene.expectRefusal(.invalidSID, of: "a.vhd sd=O:WD name=x")
            scene.expectRefusal(.fileCorrupt, of: "a.vhd type=iso readonly name=x")
            try scene.attach("a.vhd name=x")
            try scene.detach("x")
        }
    }

    @Test func twoTablesReadTogetherButDoNotWrite() throws {
        try withScratchFolder { scratch in
            let (one, two) = (AttachScene(scratch), AttachScene(scratch))
            try one.makeVHD("a.vhd")
            try one.attach("a.vhd readonly")
            try two.attach("a.vhd readonly")
            try two.detach("a")
            two.expectRefusal(.sharingViolation, of: "a.vhd")
            try one.detach("a")
            try one.attach("a.vhd")
            two.expectRefusal(.sharingViolation, of: "a.vhd readonly")
            // no-lock says that the user knows better.
            let unlocked = try two.attach("a.vhd readonly no-lock")
            #expect(unlocked.infoText.contains("not locked"))
            try two.detach("a")
            try one.detach("a")
        }
    }

    // MARK: The privilege

    @Test func onlyManagersAttachAndDetach() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch, group: 7000)
            try scene.makeVHD("a.vhd")
            let stranger = scene.requester(4000, group: 4000, groups: [1, 2])
            scene.expectRefusal(.privilegeNotHeld, of: "a.vhd readonly", as: stranger)
            // The path is not touched first: no answer tells whether it is there.
            scene.expectRefusal(.privilegeNotHeld, of: "none.vhd flags=0x40", as: stranger)
            try scene.attach("a.vhd", as: scene.requester(4000, group: 4000, groups: [7000]))
            scene.expectRefusal(.privilegeNotHeld, ofDetaching: "a", as: stranger)
            scene.expectRefusal(.privilegeNotHeld, ofDetaching: "none", as: stranger)
            try scene.detach("a", as: scene.requester(4000, group: 7000))
        }
    }

    @Test func aManageGroupIsForRootsDaemonOnly() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch, user: 4000, group: 7000)
            try scene.makeVHD("a.vhd")
            scene.expectRefusal(.privilegeNotHeld, of: "a.vhd", as: scene.requester(5000, group: 7000))
            try scene.attach("a.vhd", as: scene.requester(4000))
            try scene.detach("a")
        }
    }

    // MARK: Names

    @Test func namesComeFromTheFileAndAreUnique() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scratch.makeFolder("sub")
            for file in ["my disk.vhd", "sub/my disk.vhd", "a.b.vhd", "plain", ".vhd", "sub/a.b.vhdx"] {
                try scene.makeVHD(file)
            }
            #expect(try scene.attach("'my disk.vhd'").name.text == "my_disk")
            #expect(try scene.attach("'sub/my disk.vhd'").name.text == "my_disk-2")
            #expect(try scene.attach("a.b.vhd").name.text == "a.b")
            #expect(try scene.attach("sub/a.b.vhdx").name.text == "a.b-2")
            #expect(try scene.attach("plain").name.text == "plain")
            #expect(try scene.attach(".vhd").name.text == ".vhd")
            try scene.detach("my_disk")
            #expect(try scene.attach("'my disk.vhd'").name.text == "my_disk")
            for name in scene.table.attachments.map(\.name.text) { try scene.detach(name) }
        }
    }

    @Test func aGivenNameThatIsTakenIsRefused() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            try scene.makeVHD("b.vhd")
            try scene.attach("a.vhd name=x")
            scene.expectRefusal(.alreadyExists, "x is taken", of: "b.vhd name=x")
            #expect(try scene.attach("b.vhd name=y").name.text == "y")
            try scene.detach("x")
            try scene.detach("y")
        }
    }

    @Test func detachKnowsNamesAndPaths() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            try run("ln", "-s", "a.vhd", scratch.path("link.vhd")).checked()
            for target in [
                "link", scratch.path("a.vhd"), "a.vhd", "./a.vhd", scratch.path("link.vhd"), "x/../link.vhd",
            ] {
                try scene.attach("link.vhd")
                #expect(try scene.detach(target) == "link")
            }
            scene.expectRefusal(.notFound, ofDetaching: "link")
            scene.expectRefusal(.notFound, ofDetaching: scratch.path("a.vhd"))
        }
    }
}
