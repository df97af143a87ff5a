import BlockDevice
import TestSupport
import Testing

/// qemu reads what we wrote, and we read and go on writing what it wrote.
@Suite(.enabled(if: QEMU.isThere, "qemu-img is not there"))
struct QEMUTests {
    @Test(arguments: ["fixed", "dynamic"])
    func weReadWhatItWrote(_ kind: String) throws {
        var random = SeededGenerator(seed: 11)
        var source = SparseBytes(count: 7 << 20)
        for block in [0, 3, 5] as [UInt64] { source.store(random.bytes(50_000), at: block << 20 + 12_345 << 1) }
        try withScratchFolder { scratch in
            let file = MemoryFile(try QEMU.make(kind, holding: source, in: scratch))
            let disk = try OpenDisk(file, writable: true)
            var model = DiskModel(source)
            try model.check(disk.device)
            for _ in 0..<12 {
                let range = random.range(in: model.size, longest: 100_000)
                try model.perform(.write(random.bytes(range.count), at: range.lowerBound), on: disk.device)
            }
            try disk.finish()
            let path = try scratch.write(file.content, to: "written.vhd")
            #expect(try QEMU.disk(ofFile: path, in: scratch) == model.bytes)
        }
    }

    @Test(arguments: SeededGenerator.seeds(6))
    func itReadsWhatWeWrote(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var builder = VHDBuilder.random(.dynamic, size: 3 << 20, blockSizes: .writable, using: &random)
        builder.creator = "qem2"
        let file = MemoryFile(builder.build().content)
        var model = DiskModel(builder.shown())
        let disk = try OpenDisk(file, writable: true)
        // qemu ignores bitmaps: what is shown in blocks with clear bits must be written once.
        for block in builder.blocks.keys {
            let start = block * UInt64(builder.blockSize)
            let range = start..<min(model.size, start + UInt64(builder.blockSize))
            try model.perform(.write(random.bytes(range.count), at: start), on: disk.device)
        }
        for _ in 0..<30 {
            let step = model.randomStep(longest: 60_000, using: &random)
            try model.perform(step, on: disk.device)
        }
        try disk.finish()
        try withScratchFolder { scratch in
            let path = try scratch.write(file.content, to: "ours.vhd")
            #expect(try QEMU.disk(ofFile: path, in: scratch) == model.bytes)
        }
    }
}
