import TestSupport
import Testing
import VirtualDisk

/// Merely attaching changes nothing, and a detach leaves what was there.
struct AttachPurityTests {
    @Test(arguments: VHDBuilder.Subtype.allCases, [false, true])
    func attachingReadWriteChangesNoByteAndNoTime(_ subtype: VHDBuilder.Subtype, damagedCopy: Bool) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            let parent = try scene.makeVHD("parent.vhd")
            // A first write would repair the copy: an attach must not.
            try scene.makeVHD("a.vhd", subtype, fill: 2) { builder in
                if subtype == .differencing { builder.setParent(parent, file: "parent.vhd") }
                if damagedCopy { builder.edit(.copy, at: 0, [0]) }
            }
            let files = ["a.vhd", "parent.vhd"]
            let before = try files.map { try (scratch.read($0), timesAndSize(scratch.path($0))) }
            for request in ["a.vhd", "a.vhd readonly"] {
                let disk = try scene.attach(request)
                _ = try disk.allBytes()
                try disk.synchronize()
                try scene.detach("a")
                for (file, before) in zip(files, before) {
                    #expect(try scratch.read(file) == before.0, "\(file)")
                    #expect(try timesAndSize(scratch.path(file)) == before.1, "\(file)")
                }
            }
        }
    }

    @Test func whatWasWrittenIsThereAfterADetach() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            let disk = try scene.attach("a.vhd")
            var model = try disk.allBytes()
            try disk.store([1, 2, 3], at: 60_000)
            model.replaceSubrange(60_000..<60_003, with: [1, 2, 3])
            try scene.detach("a")
            let reference = try ReferenceVHD(scratch.read("a.vhd"))
            #expect(reference.shown().bytes == model)
            #expect(reference.footersAgree)
            #expect(try scene.attach("a.vhd readonly").allBytes() == model)
            try scene.detach("a")
        }
    }
}
