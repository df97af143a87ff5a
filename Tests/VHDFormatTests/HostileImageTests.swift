import BlockDevice
import TestSupport
import Testing

/// Whatever stands in a file: it is refused, or read; it never stops the process, and opening never changes it.
struct HostileImageTests {
    @Test(arguments: SeededGenerator.seeds(400))
    func randomFieldsNeverTrap(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let chain = ChainBuilder(depth: 2, size: 30_000, blockSizes: [512] + .small, using: &random)
        var builder = chain.layers[Int.random(in: 0...1, using: &random)]
        let interesting: [UInt64] = [0, 1, 511, 512, 0x7FFF_FFFF, 0xFFFF_FFFF, 1 << 63, .max, .max - 511, 1 << 41, 21]
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let value = interesting.randomElement(using: &random) ?? 0
            let fixes = UInt8.random(in: 0..<8, using: &random) != 0
            switch UInt8.random(in: 0..<4, using: &random) {
            case 0:
                builder.edit(
                    .copy,
                    .tail,
                    at: [8, 12, 16, 40, 48, 60, 84].randomElement(using: &random) ?? 8,
                    value,
                    fixesChecksum: fixes
                )
            case 1:
                builder.edit(
                    .header,
                    at: [8, 16, 24, 28, 32, 56, 576, 580, 584, 592].randomElement(using: &random) ?? 8,
                    value,
                    fixesChecksum: fixes
                )
            case 2:
                builder.edit(
                    .copy,
                    .tail,
                    .header,
                    at: Int.random(in: 0..<504, using: &random),
                    UInt32(truncatingIfNeeded: value),
                    fixesChecksum: fixes
                )
            default: builder.entryOverrides[0] = UInt32(truncatingIfNeeded: value)
            }
        }
        if builder.subtype == .fixed { builder.entryOverrides = [:] }
        var content = builder.build().content
        if UInt8.random(in: 0..<5, using: &random) == 0 {
            content.resize(to: UInt64.random(in: 0...content.count, using: &random))
        }
        for writable in [false, true] {
            let file = RecordingFile(content)
            guard let disk = try? OpenDisk(file, writable: writable) else {
                #expect(file.operationCount == 0)
                continue
            }
            let size = disk.device.size
            for offset in [0, size / 2, size - min(size, 4096)] {
                _ = try? disk.device.contents(offset..<min(size, offset + 4096))
                _ = try? disk.device.allocation(at: offset, limit: size)
            }
            #expect(file.operationCount == 0)
            guard writable else { continue }
            try? disk.device.store([1, 2, 3], at: size / 3)
            try? disk.device.zero(0..<min(size, 5000))
            try? disk.finish()
        }
    }

    @Test(arguments: SeededGenerator.seeds(60))
    func randomFilesNeverTrap(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let file = RecordingFile(SparseBytes(random.bytes(Int.random(in: 0...5000, using: &random))))
        #expect(throws: DiskError.self) { try OpenDisk(file, writable: true) }
        #expect(file.operationCount == 0)
    }
}
