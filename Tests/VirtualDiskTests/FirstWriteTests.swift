import BlockDevice
import ByteIO
import ControlLanguage
import Glibc
import Platform
import SystemPackage
import TestSupport
import Testing

@testable import VirtualDisk

/// Before its first write a disk is asked for: does that make other images worthless? (`formats.md` §3.3 and §4; the word `break-children`.)
struct FirstWriteTests {
    /// `parent.vhd` and its child `child.vhd`.
    private func family(_ scene: AttachScene) throws {
        let parent = try scene.makeVHD("parent.vhd")
        try scene.scratch.write(VHDBuilder.child(of: parent, .relative("parent.vhd")).build().content, to: "child.vhd")
    }

    private func expectRefused(
        _ words: String...,
        at location: SourceLocation = #_sourceLocation,
        _ body: () throws(DiskError) -> Void
    ) {
        do throws(DiskError) {
            try body()
            Issue.record("written", sourceLocation: location)
        } catch {
            #expect(error.kind == .hasChildren, "\(error)", sourceLocation: location)
            for word in words { #expect(error.text.contains(word), "\(error)", sourceLocation: location) }
        }
    }

    // MARK: Children

    @Test func aParentIsNotWrittenTo() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try family(scene)
            let before = try (scratch.read("parent.vhd"), timesAndSize(scratch.path("parent.vhd")))
            let disk = try scene.attach("parent.vhd")
            #expect(!disk.isReadOnly)
            #expect(disk.infoText.contains("warnings: none"))
            expectRefused("child.vhd", "break-children") { () throws(DiskError) in try disk.store([9], at: 4096) }
            expectRefused("child.vhd") { () throws(DiskError) in try disk.zero(0..<65_536) }
            #expect(try disk.bytes(4096..<4097) == [1])
            #expect(disk.infoText.contains("warnings: \(scratch.path("parent.vhd")): "), "\(disk.infoText)")
            #expect(disk.infoText.contains("child.vhd has it as its parent"), "\(disk.infoText)")
            try disk.synchronize()
            try scene.detach("parent")
            #expect(try scratch.read("parent.vhd") == before.0)
            #expect(try timesAndSize(scratch.path("parent.vhd")) == before.1)
        }
    }

    /// What was answered holds until the detach, and no longer.
    @Test func theAnswerHoldsUntilTheDetach() throws {
        try withScratchFolder { scratch in
            let opener = RecordingOpener()
            let scene = AttachScene(scratch, opener: opener)
            try family(scene)
            let disk = try scene.attach("parent.vhd")
            #expect(opener.takeNames() == ["parent.vhd"], "an attach is to be cheap")
            expectRefused { () throws(DiskError) in try disk.store([9], at: 0) }
            #expect(opener.takeNames().contains("child.vhd"))
            try run("rm", scratch.path("child.vhd")).checked()
            expectRefused("child.vhd") { () throws(DiskError) in try disk.store([9], at: 0) }
            #expect(opener.takeNames().isEmpty)
            try scene.detach("parent")
            let again = try scene.attach("parent.vhd")
            try again.store([9], at: 0)
            #expect(opener.takeNames().count > 1)
            // A child that is made now is too late; nobody looks twice.
            try scratch.write(VHDBuilder.child(of: .small()).build().content, to: "child.vhd")
            try again.store([8], at: 1)
            #expect(opener.takeNames().isEmpty)
            try scene.detach("parent")
        }
    }

    @Test func theUserMayInsist() throws {
        try withScratchFolder { scratch in
            let opener = RecordingOpener()
            let scene = AttachScene(scratch, opener: opener)
            try family(scene)
            let disk = try scene.attach("parent.vhd break-children")
            try disk.store([9], at: 4096)
            #expect(try disk.bytes(4096..<4098) == [9, 1])
            #expect(opener.takeNames() == ["parent.vhd"])
            try scene.detach("parent")
        }
    }

    @Test func permanentlyToo() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch, stateFolder: "state")
            try family(scene)
            try scene.attach("parent.vhd permanent break-children")
            scene.table.endAll()
            let next = AttachScene(scratch, stateFolder: "state")
            next.table.reservePermanent()
            next.table.restorePermanent()
            try #require(next.table.attachments.first).store([9], at: 4096)
            try next.detach("parent")
        }
    }

    /// A leaf has a parent and no children; in the middle of a chain it is as with a base.
    @Test func onlyTheLeafOfAChain() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            let base = try scene.makeVHD("base.vhd")
            let middle = VHDBuilder.child(of: base, fill: 50, .relative("base.vhd"))
            let leaf = VHDBuilder.child(of: middle, fill: 51, .relative("middle.avhd"))
            try scratch.write(middle.build().content, to: "middle.avhd")
            try scratch.write(leaf.build().content, to: "leaf.AVHD")
            let disk = try scene.attach("middle.avhd")
            expectRefused("leaf.AVHD") { () throws(DiskError) in try disk.store([9], at: 0) }
            try scene.detach("middle")
            let top = try scene.attach("leaf.AVHD")
            try top.store([9], at: 0)
            #expect(try top.bytes(0..<2) == [9, 0])
            try scene.detach("leaf")
        }
    }

    @Test func theIdDecides() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd", fill: 7)
            // A copy of the disk, another's child, no images at all.
            try scene.makeVHD("copy.vhd", fill: 7)
            try scratch.write(VHDBuilder.child(of: .small(fill: 8), .relative("a.vhd")).build().content, to: "b.vhd")
            try scratch.write([UInt8](repeating: 7, count: 5000), to: "junk.vhdx")
            try scratch.write([], to: "empty.vhd")
            try scratch.makeFolder("folder.vhd")
            // A child that is not where it would be looked for.
            try scratch.write(VHDBuilder.child(of: .small(fill: 7)).build().content, to: "folder.vhd/child.vhd")
            let disk = try scene.attach("a.vhd")
            try disk.store([9], at: 0)
            try scene.detach("a")
        }
    }

    /// Zeros are no identity: a raw parent, as Xen has them, has no id, and many disks have none.
    @Test func zerosAreNobodysChild() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            let none = [UInt8](repeating: 0, count: 16)
            let parent = try scene.makeVHD("a.vhd") { $0.uniqueID = none }
            try scratch.write(VHDBuilder.child(of: parent, .relative("a.vhd")).build().content, to: "b.vhd")
            try scene.attach("a.vhd").store([9], at: 0)
            try scene.detach("a")
        }
    }

    /// A damaged child may be mended yet; its header is enough.
    @Test func aDamagedChildIsAChild() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            let parent = try scene.makeVHD("parent.vhd")
            var child = VHDBuilder.child(of: parent)
            child.disk.store([1], at: 0)
            child.blocks[0] = []
            child.entryOverrides[0] = 1
            try scratch.write(child.build().content, to: "child.vhd")
            scene.expectRefusal(.vhdBlockAllocationTableCorrupt, of: "child.vhd readonly")
            let disk = try scene.attach("parent.vhd")
            expectRefused("child.vhd") { () throws(DiskError) in try disk.store([9], at: 0) }
            try scene.detach("parent")
        }
    }

    // MARK: Looking

    /// A FIFO beside the image must not stop the daemon, and a link may lead anywhere.
    @Test(.timeLimit(.minutes(10)))
    func nothingInTheFolderBlocks() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            try run("mkfifo", scratch.path("b.vhd")).checked()
            try run("ln", "-s", "/dev/zero", scratch.path("c.vhdx")).checked()
            try run("ln", "-s", "a.vhd", scratch.path("d.vhd")).checked()
            try run("ln", scratch.path("a.vhd"), scratch.path("e.vhd")).checked()
            try scene.attach("a.vhd").store([9], at: 0)
            try scene.detach("a")
        }
    }

    /// The folder is searched once, with the rights of the user who attached, whoever writes and however many at once.
    @Test func manyFirstWritersAskOnce() throws {
        try withScratchFolder { scratch in
            let opener = RecordingOpener()
            let scene = AttachScene(scratch, opener: opener, user: 4000)
            try family(scene)
            let disk = try scene.attach("parent.vhd", as: scene.requester(4000, group: 4000))
            _ = opener.takeNames()
            try inParallel(8) { index in
                do {
                    try disk.store([UInt8(index)], at: UInt64(index) * 4096)
                    Issue.record("written by \(index)")
                } catch {
                    #expect((error as? DiskError)?.kind == .hasChildren)
                }
            }
            #expect(opener.users == [4000])
            #expect(opener.takeNames().filter { $0 == "child.vhd" }.count == 1)
            try scene.detach("parent")
        }
    }

    @Test func nobodyLooksIntoMoreFilesThanTheLimit() throws {
        try withScratchFolder { scratch in
            let opener = RecordingOpener()
            let scene = AttachScene(scratch, opener: opener)
            try scene.makeVHD("a.vhd")
            try run(
                "bash",
                "-c",
                "cd \"$0\" && touch {0000..4200}.vhd {0000..0100}.txt",
                scratch.path
            ).checked()
            let disk = try scene.attach("a.vhd")
            _ = opener.takeNames()
            // On a slow machine the answer may come later than a write waits for it.
            for _ in 0..<12 {
                do throws(DiskError) {
                    try disk.store([1], at: 0)
                    break
                } catch {
                    #expect(error.text.contains("takes long"), "\(error)")
                    usleep(5_000_000)
                }
            }
            try disk.store([9], at: 0)
            let names = opener.takeNames()
            #expect((4096...4100).contains(names.count), "\(names.count)")
            #expect(!names.contains { $0.hasSuffix(".txt") })
            try scene.detach("a")
        }
    }

    /// A disk that has ended says so, and asks nothing.
    @Test func afterTheEnd() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try family(scene)
            let disk = try scene.attach("parent.vhd")
            try scene.detach("parent")
            do throws(DiskError) {
                try disk.store([9], at: 0)
                Issue.record("written")
            } catch {
                #expect(error.kind == .gone)
            }
        }
    }

    // MARK: VHD Sets

    static let member = "Data_12345678-9ABC-DEF0-1234-56789abcdef0.avhdx"

    @Test func aMemberOfAVHDSetIsNotWrittenTo() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            // The content does not matter for this.
            try scene.makeVHD(Self.member)
            let name = "Data_12345678-9ABC-DEF0-1234-56789abcdef0"
            for (set, isRefused) in [("Data.vhds", true), ("DATA.VHDS", true), ("Other.vhds", false)] {
                try scratch.write([1, 2, 3], to: set)
                let disk = try scene.attach(Self.member)
                if isRefused {
                    expectRefused(set, "break-children") { () throws(DiskError) in try disk.store([9], at: 0) }
                } else {
                    try disk.store([9], at: 0)
                }
                try scene.detach(name)
                if isRefused {
                    try scene.attach("\(Self.member) break-children").store([9], at: 0)
                    try scene.detach(name)
                }
                try run("rm", scratch.path(set)).checked()
            }
        }
    }

    @Test func namesOfMembers() {
        let guid = "12345678-9ABC-DEF0-1234-56789abcdef0"
        #expect(VHDSet.set(ofMember: "a_\(guid).avhdx") == "a.vhds")
        #expect(VHDSet.set(ofMember: "a_b_\(guid).AVHDX") == "a_b.vhds")
        for name in ["_\(guid).avhdx", "a_\(guid).vhdx", "a\(guid).avhdx", "a_\(guid.dropLast()).avhdx", "a.avhdx", ""]
        {
            #expect(VHDSet.set(ofMember: name) == nil, "\(name)")
        }
    }
}
