import BlockDevice
import TestSupport
import Testing
import VHDXFormat

/// We read, and go on writing, what qemu wrote.
@Suite(.enabled(if: QEMU.isThere, "qemu-img is not there"))
struct QEMUReadingTests {
    @Test(arguments: ["fixed", "dynamic"], ["1M", "8M", "256M"])
    func weReadWhatItWrote(_ kind: String, _ blockSize: String) throws {
        var random = SeededGenerator(seed: 11)
        var source = SparseBytes(count: 21 << 20)
        for place in [0, 3, 5, 20] as [UInt64] { source.store(random.bytes(50_000), at: place << 20 + 12_345 << 1) }
        try withScratchFolder { scratch in
            let file = MemoryFile(try QEMU.make(kind, blockSize: blockSize, holding: source, in: scratch))
            let disk = try OpenDisk(file, writable: true)
            #expect(disk.warnings.isEmpty)
            #expect(disk.leaf.facts.diskType.rawValue == kind)
            var model = DiskModel(source)
            try model.check(disk.device)
            for _ in 0..<12 {
                let range = random.range(in: model.size, longest: 100_000)
                try model.perform(.write(random.bytes(range.count), at: range.lowerBound), on: disk.device)
            }
            try disk.finish()
            let path = try scratch.write(file.content, to: "written.vhdx")
            try QEMU.check(path)
            #expect(try QEMU.disk(ofFile: path, in: scratch) == model.bytes)
        }
    }
}
