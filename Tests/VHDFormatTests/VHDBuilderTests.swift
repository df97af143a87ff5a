import TestSupport
import Testing

/// The builder is judged by qemu and by the reference reader, before it judges the provider.
struct VHDBuilderTests {
    static let mib: UInt64 = 1 << 20

    @Test(
        arguments: [
            (3 * mib, 90, 4, 17), (10 * mib, 301, 4, 17), (64 * mib, 963, 8, 17), (504 * mib, 1024, 16, 63),
            (130_048 * mib, 65278, 16, 255), (136_899_993_600, 65535, 16, 255), (2_088_960 * mib, 65535, 16, 255),
        ] as [(UInt64, UInt16, UInt8, UInt8)]
    )
    func geometryHasTheValuesOfTheTable(_ size: UInt64, _ cylinders: UInt16, _ heads: UInt8, _ sectors: UInt8) {
        #expect(VHDBuilder.geometry(of: size) == (cylinders, heads, sectors))
    }

    @Test(.enabled(if: QEMU.isThere, "qemu-img is not there"), arguments: 1...6 as ClosedRange<UInt64>)
    func qemuReadsPermutedDynamicImages(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        // qemu trusts the size field only of some creators, and ignores bitmaps: all sectors are present here.
        var builder = VHDBuilder.random(.dynamic, size: 900_000, blockSizes: [4096, 65536, 0x20_0000], using: &random)
        builder.creator = "qem2"
        for block in builder.blocks.keys {
            builder.blocks[block] = []
            for range in builder.presentRanges(of: block) {
                builder.disk.store(random.bytes(range.count), at: range.lowerBound)
            }
        }
        try withScratchFolder { scratch in
            let path = try scratch.write(builder.build().content, to: "built.vhd")
            #expect(try QEMU.disk(ofFile: path, in: scratch) == builder.shown(), "seed \(seed)")
        }
    }

    @Test(.enabled(if: QEMU.isThere, "qemu-img is not there"))
    func qemuReadsFixedImages() throws {
        var random = SeededGenerator(seed: 1)
        var builder = VHDBuilder.random(.fixed, size: 70_000, blockSizes: [4096], using: &random)
        builder.creator = "qem2"
        try withScratchFolder { scratch in
            let path = try scratch.write(builder.build().content, to: "built.vhd")
            #expect(try QEMU.disk(ofFile: path, in: scratch) == builder.disk)
        }
    }

    @Test(arguments: 1...30 as ClosedRange<UInt64>)
    func theReferenceReaderShowsWhatWasBuilt(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let sizes: [UInt32] = [512, 1024, 4096, 65536, 0x8_0000, 0x40_0000]
        var builder = VHDBuilder.random(.dynamic, size: 300_000, blockSizes: sizes, using: &random)
        var lower: SparseBytes?
        if Bool.random(using: &random) {
            let parent = VHDBuilder.random(.dynamic, size: 200_000, blockSizes: sizes, using: &random)
            builder.setParent(parent, file: "parent.vhd")
            lower = parent.shown()
        }
        let built = builder.build()
        let reference = try ReferenceVHD(built.content)
        #expect(reference.shown(over: lower) == builder.shown(over: lower), "seed \(seed)")
        #expect(reference.footersAgree)
        if builder.alignment == .windows {
            #expect(built.content.count % 4096 == 0)
            #expect(built.blockOffsets.values.allSatisfy { ($0 + built.bitmapLength) % 4096 == 0 })
        }
    }

    @Test func theReferenceReaderRefusesOverlapsAndBadChecksums() throws {
        var builder = VHDBuilder(
            .dynamic,
            disk: SparseBytes([UInt8](repeating: 7, count: 20_000 / 512 * 512)),
            blockSize: 4096
        )
        _ = try ReferenceVHD(builder.build().content)
        var wrong = builder
        wrong.entryOverrides[1] = UInt32((wrong.build().blockOffsets[0] ?? 0) / 512) + 1
        #expect(throws: TestSupportError.self) { try ReferenceVHD(wrong.build().content) }
        wrong.entryOverrides[1] = 1 << 20
        #expect(throws: TestSupportError.self) { try ReferenceVHD(wrong.build().content) }
        builder.edit(.tail, .copy, at: 64, UInt32(0), fixesChecksum: false)
        #expect(throws: TestSupportError.self) { try ReferenceVHD(builder.build().content) }
    }

    @Test(.enabled(if: TestImages.areThere, "the test images are not there"))
    func theReferenceReaderShowsRealImages() throws {
        try withScratchFolder { scratch in
            var disks: [String: SparseBytes] = [:]
            for name in ["fat-parent.vhd", "dfvfs-ext2.vhd", "dissect-dynamic.vhd", "dfvfs-fat-differential.vhd"] {
                let entry = try #require(TestImages.entries.first { $0.name == name })
                let content = try readFile(TestImages.unpack(name, into: scratch))
                let lower = name.contains("differential") ? disks["fat-parent.vhd"] : nil
                let disk = try ReferenceVHD(content).shown(over: lower)
                #expect(try sha256(of: disk.bytes) == entry.diskHash, "\(name)")
                disks[name] = disk
            }
        }
    }
}
