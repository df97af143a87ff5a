import BlockDevice
import TestSupport
import Testing

@testable import VirtualDisk

/// The first write to a VHDX that others have as their parent (`formats.md` §3.3): what `FirstWriteTests` asks of a VHD.
struct VHDXFirstWriteTests {
    /// A child whose table is damaged may be mended yet, and one with a dirty log is as good as any.
    @Test(arguments: [false, true])
    func whatIsWrongWithTheChildDoesNotMatter(_ isDamaged: Bool) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            let parent = try scene.makeVHDX("parent.vhdx")
            var child = VHDXBuilder.child(of: parent, .relative("parent.vhdx"))
            if isDamaged {
                child.entryOverrides[0] = 5
            } else {
                child.hide(.metadata)
            }
            try scratch.write(child.build().content, to: "child.vhdx")
            if isDamaged { scene.expectRefusal(.vhdBlockAllocationTableCorrupt, of: "child.vhdx readonly") }
            let disk = try scene.attach("parent.vhdx")
            #expect(throws: DiskError.self) { try disk.store([9], at: 0) }
            #expect(disk.infoText.contains("child.vhdx has it as its parent"), "\(disk.infoText)")
            try scene.detach("parent")
        }
    }

    @Test func aParentIsNotWrittenTo() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            let parent = try scene.makeVHDX("parent.vhdx")
            let child = VHDXBuilder.child(of: parent, .relative("parent.vhdx"))
            try scratch.write(child.build().content, to: "child_1.AVHDX")
            let before = try (scratch.read("parent.vhdx"), timesAndSize(scratch.path("parent.vhdx")))
            let disk = try scene.attach("parent.vhdx")
            for _ in 0..<2 {
                do {
                    try disk.store([9], at: 0)
                    Issue.record("written")
                } catch {
                    #expect("\(error)".contains("child_1.AVHDX"), "\(error)")
                }
            }
            try scene.detach("parent")
            #expect(try scratch.read("parent.vhdx") == before.0)
            #expect(try timesAndSize(scratch.path("parent.vhdx")) == before.1)

            let insisting = try scene.attach("parent.vhdx break-children")
            try insisting.store([9], at: 0)
            try scene.detach("parent")
            scene.expectRefusal(.vhdChildParentIDMismatch, of: "child_1.AVHDX")
            // Nobody's parent any more.
            let free = try scene.attach("parent.vhdx")
            try free.store([8], at: 0)
            try scene.detach("parent")
        }
    }
}
