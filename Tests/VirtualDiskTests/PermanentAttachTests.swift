import ControlLanguage
import Glibc
import Platform
import SystemPackage
import TestSupport
import Testing

@testable import VirtualDisk

/// `permanent`: recorded before the answer, made again at the next start, dropped only by a detach (CONTRACT.md §3.3).
struct PermanentAttachTests {
    /// The next daemon at the same mount point, after the first has gone or died.
    private func restart(_ scene: AttachScene, ending: Bool = true) -> AttachScene {
        if ending { scene.table.endAll() }
        let next = AttachScene(scene.scratch, stateFolder: "state")
        next.table.reservePermanent()
        next.table.restorePermanent()
        return next
    }

    private func records(_ scratch: ScratchFolder) throws -> [String] {
        try run("find", scratch.path("state"), "-type", "f").checked().output.split(separator: "\n").map(String.init)
    }

    @Test func itComesBackWithNameAndFlags() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch, stateFolder: "state")
            try scene.makeVHD("a.vhd")
            let first = try scene.attach("a.vhd permanent name=x readonly no-drive-letter mode=0604 type=vhd")
            #expect(first.lifetime == .permanent)
            #expect(try records(scratch).count == 1)

            let next = restart(scene)
            let disk = try #require(next.table.attachments.first)
            #expect(next.table.attachments.count == 1)
            #expect(disk.name.text == "x")
            #expect(disk.flags == [.readOnly, .noDriveLetter, .permanentLifetime])
            #expect(disk.lifetime == .permanent)
            #expect(disk.access.mode == 0o404)
            #expect(disk.imagePath == FilePath(scratch.path("a.vhd")))
            #expect(disk.requester.credentials.user == 0)

            try next.detach("x")
            #expect(try records(scratch).isEmpty)
            #expect(restart(next).table.attachments.isEmpty)
        }
    }

    @Test func theDerivedNameIsRecorded() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch, stateFolder: "state")
            try scratch.makeFolder("sub")
            try scene.makeVHD("a.vhd")
            try scene.makeVHD("sub/a.vhd")
            try scene.attach("a.vhd")
            #expect(try scene.attach("sub/a.vhd permanent").name.text == "a-2")
            let next = restart(scene)
            #expect(next.table.attachments.map(\.name.text) == ["a-2"])
            try next.detach("a-2")
        }
    }

    @Test func withTheRightsOfTheOneWhoAsked() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch, group: 7000, stateFolder: "state")
            try scene.makeVHD("a.vhd")
            try scene.attach("a.vhd permanent", as: scene.requester(4000, group: 4001, groups: [7000, 7001]))
            scene.table.endAll()
            // Nobody but root may manage any more: the record stays, and says why.
            let next = AttachScene(scratch, stateFolder: "state")
            next.table.reservePermanent()
            next.table.restorePermanent()
            #expect(next.table.attachments.isEmpty)
            #expect(next.table.dormant.map(\.error.error) == [.privilegeNotHeld])
            let again = AttachScene(scratch, group: 7000, stateFolder: "state")
            again.table.reservePermanent()
            again.table.restorePermanent()
            let disk = try #require(again.table.attachments.first)
            #expect(disk.requester.credentials.user == 4000)
            #expect(disk.requester.credentials.group == 4001)
            #expect(disk.requester.credentials.supplementaryGroups == [7000, 7001])
            try again.detach("a")
        }
    }

    @Test func relativeParentsComeBack() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch, stateFolder: "state")
            let parent = try scene.makeVHD("parent.vhd")
            try scratch.write(VHDBuilder.child(of: parent).build().content, to: "child.vhd")
            try scene.attach("child.vhd permanent parent=./parent.vhd")
            let next = restart(scene)
            #expect(next.table.attachments.map(\.name.text) == ["child"])
            #expect(next.table.dormant.map(\.error.text) == [])
            try next.detach("child")
        }
    }

    @Test func anotherImageOfThatPathIsNotAttached() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch, stateFolder: "state")
            try scene.makeVHD("a.vhd", fill: 1)
            try scene.attach("a.vhd permanent")
            scene.table.endAll()
            try scene.makeVHD("a.vhd", fill: 2)
            let next = restart(scene)
            #expect(next.table.attachments.isEmpty)
            #expect(next.table.dormant.map(\.name.text) == ["a"])
            #expect(next.table.dormant.first?.error.text.contains("another image") == true)
            // It still has its name.
            next.expectRefusal(.alreadyExists, of: "a.vhd name=a")
            #expect(try next.attach("a.vhd").name.text == "a-2")

            #expect(try next.detach("a") == "a")
            #expect(next.table.dormant.isEmpty)
            #expect(try records(scratch).isEmpty)
            next.expectRefusal(.notFound, ofDetaching: "a")
            try next.detach("a-2")
        }
    }

    @Test func aMissingImageStaysRecorded() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch, stateFolder: "state")
            try scene.makeVHD("a.vhd")
            try scene.attach("a.vhd permanent")
            scene.table.endAll()
            try run("mv", scratch.path("a.vhd"), scratch.path("b.vhd")).checked()
            let without = restart(scene)
            #expect(without.table.dormant.map(\.error.error) == [.fileNotFound])
            try run("mv", scratch.path("b.vhd"), scratch.path("a.vhd")).checked()
            let with = restart(without)
            #expect(with.table.attachments.map(\.name.text) == ["a"])
            try with.detach("a")
        }
    }

    @Test func aRawImageIsKnownByItsFile() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch, stateFolder: "state")
            try scratch.write([UInt8](repeating: 1, count: 4096), to: "a.img")
            try scene.attach("a.img permanent type=raw")
            let next = restart(scene)
            #expect(next.table.attachments.count == 1)
            next.table.endAll()
            try run("cp", scratch.path("a.img"), scratch.path("new.img")).checked()
            try run("mv", scratch.path("new.img"), scratch.path("a.img")).checked()
            #expect(restart(next).table.dormant.count == 1)
        }
    }

    @Test func recordsBelongToTheirMountPoint() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch, stateFolder: "state")
            try scene.makeVHD("a.vhd")
            try scene.attach("a.vhd permanent")
            scene.table.endAll()
            let other = try PermanentJournal(
                stateDirectory: FilePath(scratch.path("state")),
                mountPoint: FilePath(scratch.path("elsewhere"))
            )
            #expect(other.records().records.isEmpty)
            let next = restart(scene)
            #expect(next.table.attachments.count == 1)
            try next.detach("a")
        }
    }

    @Test func withoutAStateFolderPermanentIsRefused() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            scene.expectRefusal(.accessDenied, of: "a.vhd permanent")
            try scene.attach("a.vhd")
            try scene.detach("a")
        }
    }

    /// When the record can't be written there is no attachment; when it can't be dropped the disk stays.
    @Test(.enabled(if: isRoot, "needs chattr"))
    func anUnwritableStateFolderChangesNothing() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch, stateFolder: "state")
            try scene.makeVHD("a.vhd")
            try scene.makeVHD("b.vhd", fill: 2)
            try scene.attach("a.vhd permanent")
            let folders = try run("find", scratch.path("state"), "-mindepth", "1", "-type", "d").checked().output
            let folder = try #require(folders.split(separator: "\n").first.map(String.init))
            guard try run("chattr", "+i", folder).succeeded else { return }
            defer { _ = try? run("chattr", "-i", folder) }
            scene.expectRefusal(.vhdMetadataWriteFailure, "permanent", of: "b.vhd permanent")
            scene.expectRefusal(.vhdMetadataWriteFailure, ofDetaching: "a")
            let disk = try #require(scene.table.attachments.first)
            try disk.store([5], at: 0)
            try run("chattr", "-i", folder).checked()
            try scene.detach("a")
            #expect(try records(scratch).isEmpty)
        }
    }

    @Test func aRecordThatIsGoneAlreadyDoesNotKeepTheDisk() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch, stateFolder: "state")
            try scene.makeVHD("a.vhd")
            try scene.attach("a.vhd permanent")
            try run("rm", try #require(records(scratch).first)).checked()
            try scene.detach("a")
            #expect(scene.table.attachments.isEmpty)
        }
    }

    /// Of those who detach one disk at once, one does; the record of the next disk of that name is not theirs to drop.
    @Test func detachesAtOnceDoNotMeetAtTheRecord() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch, stateFolder: "state")
            try scene.makeVHD("a.vhd")
            for _ in 0..<50 {
                try scene.attach("a.vhd permanent")
                let detached = Locked(0)
                try inParallel(3) { _ in
                    do {
                        try scene.detach("a")
                        detached.withLock { $0 += 1 }
                    } catch let error as AttachError where error.error == .notFound {}
                }
                #expect(detached.withLock { $0 } == 1)
                #expect(try records(scratch).isEmpty)
            }
        }
    }

    /// The folder of the records comes with the first and goes with the last: not between the two steps of another.
    @Test func recordsOfDifferentDisksComeAndGoAtOnce() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch, stateFolder: "state")
            for index in 0..<3 { try scene.makeVHD("\(index).vhd", fill: UInt8(index + 1)) }
            try inParallel(3) { index in
                for _ in 0..<100 {
                    try scene.attach("\(index).vhd permanent")
                    try scene.detach("\(index)")
                }
            }
            #expect(try records(scratch).isEmpty)
        }
    }

    @Test(arguments: ["{", "", "null", "{\"version\":1}"])
    func aBrokenRecordHarmsNobodyElse(_ text: String) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch, stateFolder: "state")
            try scene.makeVHD("a.vhd")
            try scene.attach("a.vhd permanent")
            let record = try #require(records(scratch).first)
            try run("cp", record, record.replacing("a.json", with: "0.json")).checked()
            try run("sh", "-c", "printf %s '\(text)' > '\(record.replacing("a.json", with: "0.json"))'").checked()
            let next = restart(scene)
            #expect(next.table.attachments.map(\.name.text) == ["a"])
            try next.detach("a")
        }
    }
}
