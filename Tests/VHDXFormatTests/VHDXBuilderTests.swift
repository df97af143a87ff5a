import TestSupport
import Testing

/// The builder is judged by qemu, before it judges the provider.
struct VHDXBuilderTests {
    @Test func checksumsAndIdentifiersAreThoseOfTheSpecification() {
        #expect(crc32C(Array("123456789".utf8)) == 0xE306_9283)
        #expect(
            guidBytes("2DC27766-F623-4200-9D64-115E9BFD4A08") == [
                0x66, 0x77, 0xC2, 0x2D, 0x23, 0xF6, 0x00, 0x42, 0x9D, 0x64, 0x11, 0x5E, 0x9B, 0xFD, 0x4A, 0x08,
            ]
        )
        #expect(guidText(guidBytes("CAA16737-FA36-4D43-B3B6-33F0AA44E76B")) == "CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
    }

    @Test(
        .enabled(if: QEMU.isThere, "qemu-img is not there"),
        arguments: 1...6 as ClosedRange<UInt64>,
        [VHDXBuilder.Subtype.dynamic, .fixed]
    )
    func qemuReadsBuiltImages(_ seed: UInt64, _ subtype: VHDXBuilder.Subtype) throws {
        var random = SeededGenerator(seed: seed)
        let builder = VHDXBuilder.random(
            subtype,
            size: UInt64.random(in: 1...20 << 20, using: &random),
            blockSizes: [1 << 20, 2 << 20, 8 << 20],
            logicalSectorSize: 512,
            using: &random
        )
        try withScratchFolder { scratch in
            let path = try scratch.write(builder.build().content, to: "built.vhdx")
            try QEMU.check(path)
            #expect(try QEMU.disk(ofFile: path, in: scratch) == builder.shown(), "seed \(seed)")
        }
    }

    /// qemu replays the log when it repairs: then it sees what the builder hid there.
    ///
    /// (Of a sequence that wraps around the end it takes only the part from the ring's start on: none does here.)
    @Test(.enabled(if: QEMU.isThere, "qemu-img is not there"), arguments: 1...4 as ClosedRange<UInt64>)
    func qemuReplaysTheBuiltLog(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var builder = VHDXBuilder.random(
            .dynamic,
            size: 9 << 20,
            blockSizes: [1 << 20],
            logicalSectorSize: 512,
            using: &random
        )
        builder.hide(.table, .metadata) {
            $0.pagesPerEntry = 2
            $0.zeroedPages = 3
            $0.hasOlderPages = seed % 2 == 0
            $0.position = 5 * 4096
        }
        try withScratchFolder { scratch in
            let path = try scratch.write(builder.build().content, to: "built.vhdx")
            try run("qemu-img", "check", "-f", "vhdx", "-r", "all", path).checked()
            #expect(try QEMU.disk(ofFile: path, in: scratch) == builder.shown(), "seed \(seed)")
        }
    }
}
