import BlockDevice
import TestSupport
import Testing
import VHDFormat

/// Files that Windows, Virtual PC and qemu have made.
@Suite(.enabled(if: TestImages.areThere, "the test images are not there"))
struct RealImageTests {
    static let images = TestImages.entries.filter { $0.format.hasPrefix("VHD/") }

    /// The files of the image's chain, the leaf first.
    func files(_ name: String) throws -> [MemoryFile] {
        let names = name == "dfvfs-fat-differential.vhd" ? [name, "fat-parent.vhd"] : [name]
        return try withScratchFolder { scratch in
            try names.map { MemoryFile(try readFile(TestImages.unpack($0, into: scratch)), path: $0) }
        }
    }

    @Test(arguments: images)
    func showsTheDiskOfTheManifest(_ image: TestImages.Entry) throws {
        let files = try files(image.name)
        let device = try OpenDisk(files, writable: false).device
        #expect(device.size == image.virtualSize)
        guard device.size < 1 << 30 else {
            // Nothing is stored in it: hashing 127 GiB of zeros would tell nothing more.
            var offset: UInt64 = 0
            while offset < device.size {
                let run = try device.allocation(at: offset, limit: device.size)
                try #require(!run.isData && run.end > offset)
                offset = run.end
            }
            #expect(try device.contents(device.size - 512..<device.size) == [UInt8](repeating: 0, count: 512))
            return
        }
        var offset: UInt64 = 0
        let hash = try sha256 {
            guard offset < device.size else { return nil }
            let end = min(device.size, offset + 777_777)
            defer { offset = end }
            return try device.contents(offset..<end)
        }
        #expect(hash == image.diskHash)
    }

    @Test(arguments: images)
    func canBeWrittenAndKeepsItsLayout(_ image: TestImages.Entry) throws {
        let files = try files(image.name)
        let before = files[0].content
        let disk = try OpenDisk(files, writable: true)
        let size = disk.device.size
        var random = SeededGenerator(seed: 3)
        for offset in [0, size / 3, size / 2, size - 1000] {
            let bytes = random.bytes(1000)
            try disk.device.store(bytes, at: offset)
            #expect(try disk.device.contents(offset..<offset + 1000) == bytes)
        }
        try disk.finish()
        let after = files[0].content
        guard disk.leaf.facts.footer.diskType != .fixed else {
            #expect(after.count == before.count)
            #expect(after[size..<size + 512] == before[size..<size + 512])
            return
        }
        let (old, new) = (try ReferenceVHD(before), try ReferenceVHD(after))
        #expect(new.footersAgree)
        #expect(after[0..<512] == before[0..<512])
        #expect(after[512..<1536] == before[512..<1536])
        for (block, offset) in old.blockOffsets { #expect(new.blockOffsets[block] == offset) }
        #expect(new.blockOffsets.count > 0)
        if before.count % 4096 == 0, old.blockOffsets.values.allSatisfy({ ($0 + old.bitmapLength) % 4096 == 0 }) {
            #expect(after.count % 4096 == 0)
            #expect(new.blockOffsets.values.allSatisfy { ($0 + new.bitmapLength) % 4096 == 0 })
        }
    }

    @Test func theDifferencingImageOfWindowsNamesItsParent() throws {
        let leaf = try OpenDisk(files("dfvfs-fat-differential.vhd"), writable: false).leaf
        let parent = try #require(leaf.facts.parent)
        let base = try OpenDisk(files("fat-parent.vhd"), writable: false).leaf
        #expect(parent.uniqueID == base.facts.footer.uniqueID)
        #expect(parent.timestamp == 0)
        guard case .relative(let path) = parent.paths.first else {
            Issue.record("the first candidate is \(parent.paths)")
            return
        }
        #expect(path.hasPrefix(".\\") && path.hasSuffix(".vhd"))
        #expect(parent.paths.count >= 3)
    }

    @Test func worksOnAFileOfTheHost() throws {
        try withScratchFolder { scratch in
            let path = try TestImages.unpack("dissect-dynamic.vhd", into: scratch)
            var model = DiskModel(try ReferenceVHD(readFile(path)).shown())
            var random = SeededGenerator(seed: 8)
            for _ in 0..<3 {
                let disk = try OpenDisk(openFile(path, writable: true), writable: true)
                try model.check(disk.device)
                for _ in 0..<20 {
                    try model.perform(model.randomStep(longest: 300_000, using: &random), on: disk.device)
                }
                try disk.finish()
                let reference = try ReferenceVHD(readFile(path))
                #expect(reference.shown() == model.bytes)
                #expect(reference.footersAgree)
            }
        }
    }
}
