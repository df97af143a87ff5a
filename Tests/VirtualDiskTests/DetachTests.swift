import BlockDevice
import ControlLanguage
import Glibc
import Platform
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import VirtualDisk

/// How attachments end: asked for, with their handle, with their file system, by an interruption.
struct DetachTests {
    private final class Ends: AttachmentTable.Observer {
        let names = Locked<[String]>([])
        func didEnd(_ attachment: Attachment, isForced: Bool) {
            names.withLock { $0.append(attachment.name.text + (isForced ? "!" : "")) }
        }
    }

    @Test func theTreeIsToldOfEveryEnd() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            let ends = Ends()
            scene.table.setObserver(ends)
            for name in ["a", "b", "c", "d"] { try scene.makeVHD("\(name).vhd") }
            try scene.attach("a.vhd")
            try scene.attach("b.vhd", lifetime: .handle(1))
            try scene.attach("c.vhd")
            try scene.attach("d.vhd")
            try scene.detach("a")
            scene.table.endHandle(1)
            try scene.detach("c", force: true)
            scene.table.endAll()
            #expect(ends.names.withLock { $0 } == ["a", "b", "c!", "d"])
        }
    }

    /// Looks, at each end, whether another could have the name already.
    private final class Names: AttachmentTable.Observer {
        private let table: AttachmentTable
        let free = Locked<[String]>([])

        init(_ table: AttachmentTable) { self.table = table }

        func didEnd(_ attachment: Attachment, isForced: Bool) {
            let isTaken = table.state.withLock { $0.isTaken(attachment.name) }
            if !isTaken { free.withLock { $0.append(attachment.name.text) } }
        }
    }

    /// Else the kernel looks for the files of the next disk of that name in the folder of the last.
    @Test func aNameIsTakenUntilTheTreeHasForgottenIt() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            let names = Names(scene.table)
            scene.table.setObserver(names)
            for name in ["a", "b", "c"] { try scene.makeVHD("\(name).vhd") }
            try scene.attach("a.vhd")
            try scene.attach("b.vhd", lifetime: .handle(1))
            try scene.attach("c.vhd")
            try scene.detach("a")
            scene.table.endHandle(1)
            try scene.detach("c", force: true)
            #expect(names.free.withLock { $0 } == [])
            try scene.attach("a.vhd")
        }
    }

    @Test func aBusyDiskStaysUsable() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            let disk = try scene.attach("a.vhd")
            try disk.didOpen(writing: true)
            scene.expectRefusal(.sharingViolation, "open", "force", ofDetaching: "a")
            try disk.store([1], at: 0)
            try disk.didOpen(writing: false)
            disk.didClose(writing: true)
            scene.expectRefusal(.sharingViolation, ofDetaching: "a")
            disk.didClose(writing: false)
            try scene.detach("a")
        }
    }

    /// A close that the kernel reports a little late does not make the disk busy.
    @Test func aCloseUnderWayIsWaitedFor() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            let disk = try scene.attach("a.vhd")
            try disk.didOpen(writing: false)
            try inParallel(2) { index in
                if index == 0 {
                    try scene.detach("a")
                } else {
                    try run("sleep", "0.2").checked()
                    disk.didClose(writing: false)
                }
            }
            #expect(scene.table.attachments.isEmpty)
        }
    }

    @Test func forceEndsInputAndOutputAfterAFlush() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            let disk = try scene.attach("a.vhd")
            try disk.didOpen(writing: true)
            try disk.store([9, 9], at: 40_000)
            try scene.detach("a", force: true)
            for action in [
                { _ = try disk.bytes(0..<1) }, { try disk.store([1], at: 0) }, { try disk.zero(0..<512) },
                { try disk.synchronize() }, { _ = try disk.allocation(at: 0, limit: 1) },
                { try disk.didOpen(writing: false) },
            ] as [() throws -> Void] {
                let error = #expect(throws: DiskError.self) { try action() }
                #expect(error?.kind == .gone)
                #expect(error?.ioErrno == .noSuchAddressOrDevice)
            }
            #expect(try ReferenceVHD(scratch.read("a.vhd")).shown()[40_000..<40_002] == [9, 9])
            // The file is free, though someone still holds the dead disk.
            try scene.attach("a.vhd")
            try scene.detach("a")
            disk.didClose(writing: true)
        }
    }

    /// Else the host's file system could not be unmounted as long as someone keeps a dead disk open.
    @Test func forceClosesTheImageAndItsParents() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            let parent = try scene.makeVHD("parent.vhd")
            try scratch.write(VHDBuilder.child(of: parent, .relative("parent.vhd")).build().content, to: "a.vhd")
            let disk = try scene.attach("a.vhd")
            try disk.didOpen(writing: true)
            #expect(try openFiles(below: scratch).count >= 2)
            try scene.detach("a", force: true)
            #expect(try openFiles(below: scratch).isEmpty)
            disk.didClose(writing: true)
        }
    }

    private func openFiles(below scratch: ScratchFolder) throws -> [String] {
        let folder = FilePath("/proc/self/fd")
        return try Descriptor(opening: folder, flags: O_RDONLY).entries().compactMap {
            try? folder.appending($0).linkTarget().string
        }.filter { $0.hasPrefix(scratch.path + "/") }
    }

    @Test func openFilesReadOnAfterAnImplicitEnd() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            let disk = try scene.attach("a.vhd", lifetime: .handle(3))
            try disk.didOpen(writing: true)
            try disk.store([9], at: 0)
            scene.table.endHandle(4)
            #expect(disk.isAttached)
            scene.table.endHandle(3)
            #expect(scene.table.attachments.isEmpty)
            #expect(try disk.bytes(0..<1) == [9])
            let error = #expect(throws: DiskError.self) { try disk.store([8], at: 0) }
            #expect(error?.kind == .gone)
            #expect(try ReferenceVHD(scratch.read("a.vhd")).shown()[0..<1] == [9])

            // Its lock is shared by now: readers may come, writers not before the last reader has gone.
            scene.expectRefusal(.sharingViolation, of: "a.vhd")
            try scene.attach("a.vhd readonly")
            try scene.detach("a")
            disk.didClose(writing: true)
            try scene.attach("a.vhd")
            try scene.detach("a")
            #expect(throws: DiskError.self) { try disk.bytes(0..<1) }
        }
    }

    @Test func permanentOnesOutliveTheirHandle() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch, stateFolder: "state")
            try scene.makeVHD("a.vhd")
            try scene.attach("a.vhd permanent", lifetime: .handle(3))
            scene.table.endHandle(3)
            #expect(scene.table.attachments.count == 1)
            try scene.detach("a")
        }
    }

    @Test func nothingIsAttachedAfterTheEndOfTheFileSystem() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            scene.table.endAll()
            scene.expectRefusal(.operationAborted, of: "a.vhd")
        }
    }

    @Test func anInterruptedAttachLeavesNothing() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch, stateFolder: "state")
            try scene.makeVHD("a.vhd")
            let cancellation = try Cancellation()
            cancellation.cancel()
            for word in ["", " permanent"] {
                let error = #expect(throws: AttachError.self) {
                    try scene.attach("a.vhd\(word)", cancellation: cancellation)
                }
                #expect(error?.error == .operationAborted)
            }
            #expect(scene.table.attachments.isEmpty)
            try scene.attach("a.vhd permanent")
            try scene.detach("a")
        }
    }

    /// The name of a disk that is going is not free before its claims are given up: else they would take the next one's with them.
    @Test func aNameIsTakenUntilItsClaimsAreGivenUp() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            try scene.makeVHD("b.vhd")
            let disk = try scene.attach("a.vhd name=x", lifetime: .handle(1))
            // A write is running, and the end waits for it.
            disk.activity.update { $0.writesRunning += 1 }
            try inParallel(2) { index in
                guard index == 0 else { return scene.table.endHandle(1) }
                defer { disk.activity.update { $0.writesRunning -= 1 } }
                let isGoing: Bool? = disk.activity.wait(timeout: .seconds(5)) { _ in
                    scene.table.attachments.isEmpty ? true : nil
                }
                #expect(isGoing == true)
                scene.expectRefusal(.alreadyExists, of: "b.vhd name=x")
            }
            try scene.attach("b.vhd name=x")
            scene.expectRefusal(.sharingViolation, "already attached as x", of: "b.vhd name=y")
            try scene.detach("x")
        }
    }

    // MARK: The last close

    @Test func theLastWriterThatClosesMakesTheImageComplete() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            let disk = try scene.attach("a.vhd")
            var isDirty: Bool { disk.isDirty.load(ordering: .acquiring) }
            try disk.didOpen(writing: true)
            try disk.didOpen(writing: true)
            try disk.store([1], at: 60_000)
            disk.writer(isActive: false)
            try disk.completeIfUnattended()
            #expect(isDirty)
            // The first has closed but is not yet released: the second's close counts all the same.
            disk.writer(isActive: false)
            try disk.completeIfUnattended()
            #expect(!isDirty)
            disk.writer(isActive: true)
            try disk.store([2], at: 0)
            try disk.completeIfUnattended()
            #expect(isDirty)
            disk.writer(isActive: false)
            disk.didClose(writing: true)
            disk.didClose(writing: true)
            try scene.detach("a")
        }
    }
}
