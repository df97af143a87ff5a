import DiskTree
import FileSystem
import Platform
import SystemPackage
import TestSupport
import Testing

/// `disk` as a file that never grows (CONTRACT.md §1).
struct DiskFileTests {
    private func withDisk(
        _ subtype: VHDBuilder.Subtype = .dynamic,
        _ body: (TreeScene, TestFile) throws -> Void
    ) throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            try scene.attach("a", subtype: subtype)
            let file = try scene.open("attached/a/disk", writes: true)
            try body(scene, file)
            try file.close()
            try scene.echo("detach a")
        }
    }

    @Test(arguments: [VHDBuilder.Subtype.fixed, .dynamic])
    func theEndIsTheEnd(_ subtype: VHDBuilder.Subtype) throws {
        try withDisk(subtype) { (scene, file) throws in
            #expect(try file.read(65_000..<70_000).count == 536)
            #expect(try file.read(65_536..<65_537) == [])
            #expect(try file.read(UInt64.max - 10..<UInt64.max) == [])
            #expect(try file.write([UInt8](repeating: 7, count: 1000), at: 65_000) == 536)
            #expect(try file.read(65_535..<65_600) == [7])
            for offset: UInt64 in [65_536, 65_537, 1 << 40, .max] {
                #expect(throws: Errno.noSpace) { try file.write([1], at: offset) }
            }
            #expect(try file.write([], at: 70_000) == 0)
            #expect(try scene.attributes("attached/a/disk").size == 65_536)
        }
    }

    @Test func randomReadsAndWritesAgreeWithAModel() throws {
        try withDisk { _, file in
            var model = SparseBytes(count: 65_536)
            model.store([UInt8](repeating: 1, count: 4096), at: 4096)
            var random = SeededGenerator(seed: 4)
            for _ in 0..<300 {
                let range = random.range(in: 65_536, longest: 9000)
                if Bool.random(using: &random) {
                    let bytes = random.bytes(range.count)
                    #expect(try file.write(bytes, at: range.lowerBound) == range.count)
                    model.store(bytes, at: range.lowerBound)
                } else if Bool.random(using: &random) {
                    let request = [AllocationRequest.punchHole, .zeroRange].randomElement(using: &random)
                    try file.file.allocate(request ?? .punchHole, at: range.lowerBound, count: UInt64(range.count))
                    model.zero(range)
                }
                #expect(try differingIndex(file.read(range), model[range]) == nil)
            }
            #expect(try differingIndex(file.read(0..<65_536), model.bytes) == nil)
        }
    }

    @Test func allocation() throws {
        try withDisk { _, file in
            for request in [AllocationRequest.allocate, .punchHole, .zeroRange] {
                #expect(throws: Errno.noSpace) { try file.file.allocate(request, at: 65_536, count: 1) }
                #expect(throws: Errno.noSpace) { try file.file.allocate(request, at: 0, count: 65_537) }
                #expect(throws: Errno.noSpace) { try file.file.allocate(request, at: .max, count: .max) }
            }
            try file.file.allocate(.allocate, at: 0, count: 65_536)
            #expect(try file.read(4096..<4097) == [1])
            try file.file.allocate(.punchHole, at: 4096, count: 100)
            #expect(try file.read(4195..<4197) == [0, 1])
            try file.file.allocate(.zeroRange, at: 4100, count: 3000)
            #expect(try file.read(7099..<7101) == [0, 1])
        }
    }

    @Test func aPunchedRangeOfAChildIsNotTheParents() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            try scene.makeVHD("parent.vhd")
            var child = VHDBuilder(.differencing, size: 65_536)
            child.blockSize = 4096
            child.parentID = [UInt8](repeating: 1, count: 16)
            child.parentName = "parent.vhd"
            try scratch.write(child.build().content, to: "child.vhd")
            try scene.echo("attach \(scratch.path("child.vhd"))")
            let file = try scene.open("attached/child/disk", writes: true)
            #expect(try file.read(4096..<4097) == [1])
            try file.file.allocate(.punchHole, at: 4096, count: 1024)
            try file.file.allocate(.zeroRange, at: 6000, count: 10)
            try file.close()
            try scene.echo("detach child")
            try scene.echo("attach \(scratch.path("child.vhd")) readonly")
            let again = try scene.open("attached/child/disk")
            var expected = [UInt8](repeating: 1, count: 4096)
            expected.replaceSubrange(0..<1024, with: repeatElement(0, count: 1024))
            expected.replaceSubrange(6000 - 4096..<6010 - 4096, with: repeatElement(0, count: 10))
            #expect(try differingIndex(again.read(4096..<8192), expected) == nil)
            try again.close()
        }
    }

    @Test func aReadOnlyOpenDoesNotWrite() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            try scene.attach("a")
            for file in ["info", "info.json"] {
                let text = try scene.open("attached/a/\(file)")
                #expect(throws: Errno.notPermitted) { try text.write([1]) }
                #expect(throws: Errno.notSupported) { try text.file.allocate(.allocate, at: 0, count: 1) }
                #expect(try UInt64(text.readText().utf8.count) == scene.attributes("attached/a/\(file)").size)
                try text.close()
            }
        }
    }

    // MARK: Holes

    @Test(arguments: [VHDBuilder.Subtype.fixed, .dynamic])
    func dataAndHolesTileTheDisk(_ subtype: VHDBuilder.Subtype) throws {
        try withDisk(subtype) { _, file in
            try file.write([5], at: 30_000)
            var position: UInt64 = 0
            var runs: [Range<UInt64>] = []
            while position < 65_536 {
                guard let data = try? file.file.seek(.data, from: position) else { break }
                #expect(try file.file.seek(.data, from: data) == data)
                let hole = try file.file.seek(.hole, from: data)
                #expect(hole > data)
                #expect(try file.file.seek(.hole, from: hole) == hole)
                runs.append(data..<hole)
                position = hole
            }
            // Outside of the runs there are zeros, and what is not zero is inside.
            let bytes = try file.read(0..<65_536)
            for (offset, byte) in bytes.enumerated() where byte != 0 {
                #expect(runs.contains { $0.contains(UInt64(offset)) }, "\(offset)")
            }
            if subtype == .dynamic {
                #expect(runs.first?.lowerBound == 4096)
                #expect(runs.reduce(0) { $0 + $1.count } <= 8192)
            }
            #expect(throws: Errno.noSuchAddressOrDevice) { try file.file.seek(.data, from: 65_536) }
            #expect(throws: Errno.noSuchAddressOrDevice) { try file.file.seek(.hole, from: 65_536) }
            #expect(throws: Errno.noSuchAddressOrDevice) { try file.file.seek(.data, from: 40_000 / 4096 * 4096) }
            #expect(try file.file.seek(.hole, from: 65_535) == 65_535)
        }
    }

    // MARK: Ends

    @Test func lingeringReadsAfterAnImplicitEnd() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            try scene.makeVHD("a.vhd")
            let handle = try scene.control()
            try handle.write("attach \(scratch.path("a.vhd"))\n")
            let node = try scene.node("attached/a/disk")
            let file = try scene.open("attached/a/disk", writes: true)
            try handle.close()
            #expect(try scene.names("attached").isEmpty)
            #expect(try file.read(4096..<4098) == [1, 1])
            #expect(throws: Errno.noSuchAddressOrDevice) { try file.write([1], at: 0) }
            #expect(throws: Errno.noSuchAddressOrDevice) { try file.file.allocate(.punchHole, at: 0, count: 1) }
            // No new file of it, not by its node either.
            #expect(throws: Errno.noSuchAddressOrDevice) {
                try scene.tree.open(node, mode: OpenMode(reads: true, writes: false), caller: .root)
            }
            #expect(try scene.tree.attributes(of: node, file: file.file).attributes.size == 65_536)
            #expect(scene.cache.events.withLock { $0 } == ["name a", "name a"])
            try file.close()
            #expect(throws: Errno.noSuchFileOrDirectory) { try scene.tree.attributes(of: node, file: nil) }
        }
    }

    /// Who only writes goes past the kernel's pages: what others have read must be forgotten. Who reads too writes through them.
    @Test func aWriteOfOneWhoCanNotReadForgetsThePages() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            try scene.attach("a")
            let node = try scene.node("attached/a/disk")
            let writer = try scene.open("attached/a/disk", reads: false, writes: true)
            try writer.write([9], at: 0)
            #expect(scene.cache.events.withLock { $0 } == [])
            let reader = try scene.open("attached/a/disk", writes: true)
            try reader.write([8], at: 0)
            #expect(scene.cache.events.withLock { $0 } == [])
            try writer.write([7], at: 0)
            #expect(scene.cache.events.withLock { $0 } == ["pages of \(node.rawValue)"])
            try writer.close()
            try reader.close()
        }
    }

    /// A store through a mapping would undo a write past the pages.
    @Test func nobodyWritesPastThePagesOfAMapping() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            try scene.attach("a")
            let node = try scene.node("attached/a/disk")
            func caching() throws -> OpenedFile.Caching {
                let opened = try scene.tree.open(node, mode: OpenMode(reads: false, writes: true), caller: .root)
                defer { opened.file.release() }
                return opened.caching
            }
            #expect(try caching() == .writesDirectly)
            let mapped = try scene.open("attached/a/disk", writes: true)
            #expect(try caching() == .keep)
            try mapped.close()
            #expect(try caching() == .writesDirectly)
        }
    }

    /// Which pages are forgotten, in which order, after a write: those of the others, and the writer's own if they may be old.
    @Test(arguments: [(WriteOrigin.buffer, "pd"), (.pages, "p"), (.direct, "pd")])
    func pagesThatMayBeOldAreForgotten(origin: WriteOrigin, forgotten: String) throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            try scene.attach("a")
            let disk = try scene.open("attached/a/disk", writes: true)
            // A partition table: sectors 8 to 107.
            try disk.write([0, 0, 0, 0, 0x83, 0, 0, 0, 8, 0, 0, 0, 100, 0, 0, 0], at: 446)
            try disk.write([0x55, 0xAA], at: 510)
            try disk.write([1], at: 40_000, origin: origin)
            let alone = scene.cache.events.withLock { $0 }
            let nodes = [try scene.node("attached/a/disk"), try scene.node("attached/a/p1")]
            #expect(alone == (origin == .direct ? ["pages of \(nodes[0].rawValue)"] : []))
            let partition = try scene.open("attached/a/p1")
            try disk.write([2], at: 40_000, origin: origin)
            let expected = alone + forgotten.map { "pages of \(nodes[$0 == "d" ? 0 : 1].rawValue)" }
            #expect(
                eventually { scene.cache.events.withLock { $0 } == expected },
                "\(scene.cache.events.withLock { $0 })"
            )
            try disk.close()
            try partition.close()
        }
    }

    @Test func forceEndsEverythingAndForgetsThePages() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            try scene.attach("a")
            let node = try scene.node("attached/a/disk")
            let file = try scene.open("attached/a/disk", writes: true)
            try file.write([9], at: 0)
            #expect(throws: Errno.resourceBusy) { try scene.echo("detach a") }
            #expect(try file.read(0..<1) == [9])
            try scene.echo("detach a force")
            #expect(throws: Errno.noSuchAddressOrDevice) { try file.read(0..<1) }
            #expect(throws: Errno.noSuchAddressOrDevice) { try file.write([1], at: 0) }
            #expect(throws: Errno.noSuchAddressOrDevice) { try file.file.synchronize() }
            #expect(throws: Errno.noSuchAddressOrDevice) { try file.file.seek(.data, from: 0) }
            #expect(scene.cache.events.withLock { $0 } == ["name a", "name a", "pages of \(node.rawValue)"])
            #expect(try ReferenceVHD(scratch.read("a.vhd")).shown()[0..<1] == [9])
            file.release()
        }
    }

    /// Only the last close by a writer need make the image complete; it must, though a release is still to come.
    @Test func theLastCloseMakesTheImageComplete() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            try scene.attach("a")
            let first = try scene.open("attached/a/disk", writes: true)
            try first.write([1], at: 0)
            try first.file.flush()
            let second = try scene.open("attached/a/disk", writes: true)
            try second.write([2, 2], at: 60_000)
            try second.file.flush()
            let reference = try ReferenceVHD(scratch.read("a.vhd"))
            #expect(reference.shown()[60_000..<60_002] == [2, 2])
            #expect(reference.footersAgree)
            first.release()
            second.release()
        }
    }
}
