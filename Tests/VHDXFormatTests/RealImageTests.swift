import BlockDevice
import ByteIO
import TestSupport
import Testing
import VHDXFormat

/// Files that Windows and qemu have made.
@Suite(.enabled(if: TestImages.areThere, "the test images are not there"))
struct RealImageTests {
    func file(_ name: String) throws -> MemoryFile {
        try withScratchFolder { MemoryFile(try readFile(TestImages.unpack(name, into: $0)), path: name) }
    }

    /// The hash is taken of what the disk calls data: a disk of 10 GiB holds some MiB. Where holes are zeros is checked in the others.
    @Test(arguments: TestImages.vhdx, [false, true])
    func showsTheDiskOfTheManifest(_ image: TestImages.Entry, _ writable: Bool) throws {
        let file = try file(image.name)
        let before = file.content
        let disk = try OpenDisk(file, writable: writable)
        let device = disk.device
        #expect(device.size == image.virtualSize)
        #expect(disk.leaf.facts.diskType == .dynamic)
        #expect((disk.leaf.facts.replayedEntries > 0) == image.name.contains("dirtylog"))
        var shown = SparseBytes(count: device.size)
        var offset: UInt64 = 0
        while offset < device.size {
            let run = try device.allocation(at: offset, limit: min(device.size, offset + 1 << 30))
            try #require(run.end > offset)
            if run.isData {
                let end = min(run.end, offset + 777_777)
                shown.store(try device.contents(offset..<end), at: offset, keepingHoles: true)
                offset = end
            } else {
                // Not all of a hole is read: its ends are.
                for end in [offset..<min(run.end, offset + 5000), run.end - min(run.end - offset, 5000)..<run.end] {
                    shown.store(try device.contents(end), at: end.lowerBound, keepingHoles: true)
                }
                offset = run.end
            }
        }
        // One of them is enough for the long hash.
        if !writable || image.virtualSize <= 1 << 30 { #expect(try sha256(of: shown) == image.diskHash) }
        try disk.finish()
        #expect(file.content == before, "reading changed the file")
    }

    /// A program that only reads leaves the file of the host as it was, its dirty log too.
    @Test(arguments: TestImages.vhdx)
    func readingAFileOfTheHostLeavesItAsItIs(_ image: TestImages.Entry) throws {
        try withScratchFolder { scratch in
            let path = try TestImages.unpack(image.name, into: scratch)
            let disk = try OpenDisk(openFile(path, writable: false), writable: false)
            for place in [0, 1, 2, 3] as [UInt64] {
                let start = disk.device.size / 4 * place
                _ = try disk.device.contents(start..<start + 100_000)
            }
            try disk.finish()
            #expect(try sha256(ofFile: path) == image.imageHash)
        }
    }

    @Test(arguments: TestImages.vhdx)
    func canBeWrittenAndKeepsItsLayout(_ image: TestImages.Entry) throws {
        let file = try file(image.name)
        let before = try ReferenceVHDX(file.content)
        let disk = try OpenDisk(file, writable: true)
        let size = disk.device.size
        var random = SeededGenerator(seed: 3)
        for offset in [0, size / 3, size / 2, size - 1000] {
            let bytes = random.bytes(1000)
            try disk.device.store(bytes, at: offset)
            #expect(try disk.device.contents(offset..<offset + 1000) == bytes)
        }
        try disk.finish()
        let after = try ReferenceVHDX(file.content)
        #expect(after.headersAgree && after.regionTablesAgree && after.logIsEmpty)
        #expect(file.content[0..<65536] == before.content[0..<65536])
        for (block, entry) in before.blocks where entry.state == 6 {
            #expect(after.blocks[block]?.offset == entry.offset)
        }
        try withScratchFolder { scratch in
            guard QEMU.isThere else { return }
            try QEMU.check(scratch.write(file.content, to: "written.vhdx"))
        }
    }

    @Test func namesItsCreatorAndGeometry() throws {
        let facts = try OpenDisk(file("discutils-btrfs.vhdx"), writable: false).leaf.facts
        #expect(facts.creator.hasPrefix("Microsoft Windows"))
        #expect(facts.blockSize == 32 << 20)
        #expect(facts.logicalSectorSize == 512)
        #expect(facts.parent == nil)
        #expect(facts.virtualDiskID != .zero)
        let qemu = try OpenDisk(file("qemu-iotest-dirtylog-10G-4M.vhdx"), writable: false).leaf.facts
        #expect(qemu.creator.hasPrefix("QEMU"))
        #expect(qemu.replayedEntries == 1)
    }
}
