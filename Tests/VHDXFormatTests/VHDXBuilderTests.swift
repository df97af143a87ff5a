import TestSupport
import Testing

/// The builder is judged by qemu, libvhdi and the reference reader, before it judges the provider.
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

    @Test(arguments: 1...30 as ClosedRange<UInt64>)
    func theReferenceReaderShowsWhatWasBuilt(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let chain = ChainBuilder(depth: Int(seed % 3) + 1, size: 6 << 20, blockSizes: .small, using: &random)
        var lower: SparseBytes?
        for (index, layer) in chain.layers.enumerated().reversed() {
            var layer = layer
            if Bool.random(using: &random) {
                layer.hideEverything(using: &random)
            }
            let reference = try ReferenceVHDX(layer.build().content)
            #expect(reference.shown(over: lower) == layer.shown(over: lower), "seed \(seed), layer \(index)")
            #expect(reference.headersAgree && reference.regionTablesAgree)
            #expect(reference.logIsEmpty == (layer.hiding == nil))
            #expect(reference.dataWriteGUID == layer.dataWriteGUID)
            #expect(reference.parentPairs.count == layer.parentPairs.count)
            lower = layer.shown(over: lower)
        }
    }

    @Test(arguments: Fault.all)
    func theReferenceReaderRefuses(_ fault: Fault) throws {
        var builder = VHDXBuilder(.dynamic, size: 5 << 20, blockSize: 1 << 20)
        for block in 0..<4 as Range<UInt64> { builder.blocks[block] = .full }
        _ = try ReferenceVHDX(builder.build().content)
        fault.make(&builder)
        #expect(throws: TestSupportError.self) { try ReferenceVHDX(builder.build().content) }
    }

    /// A rule that an image breaks.
    struct Fault: CustomTestStringConvertible {
        let testDescription: String
        let make: @Sendable (inout VHDXBuilder) -> Void

        init(_ name: String, _ make: @escaping @Sendable (inout VHDXBuilder) -> Void) {
            testDescription = name
            self.make = make
        }

        static let all: [Fault] = [
            Fault("headers") { $0.edit(.header1, .header2, at: 4, UInt32(0), fixesChecksum: false) },
            Fault("region tables") { $0.edit(.regions1, .regions2, at: 4, UInt32(0), fixesChecksum: false) },
            Fault("log without an entry") { $0.logGUID[0] = 1 },
            Fault("overlapping blocks") { $0.entryOverrides[2] = 6 | 5 << 20 },
            Fault("a block behind the end") { $0.entryOverrides[2] = 6 | 500 << 20 },
            Fault("a block in the first MiB") { $0.entryOverrides[2] = 6 },
            Fault("a state") { $0.entryOverrides[4] = 5 },
            Fault("a partial block without parent") { $0.entryOverrides[4] = 7 | 8 << 20 },
            Fault("a zero block with a place") { $0.entryOverrides[4] = 2 | 8 << 20 },
            Fault("regions that overlap") { $0.metadataOffset = $0.tableOffset },
            Fault("a size of no whole sector") { $0.size -= 1 },
            Fault("a table too small") {
                $0.tableLength = 1 << 20
                $0.size = 3 << 40
            },
        ]
    }

    /// libvhdi knows parents, and not the log. Past a parent's end it gives errors, and it shows the parent where a child says zeros: the
    /// layers are of one size here, and have no such blocks.
    @Test(.enabled(if: LibVHDI.isThere, "vhdimount is not there, or FUSE"), arguments: 1...3 as ClosedRange<UInt64>)
    func libvhdiReadsBuiltChains(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var chain = ChainBuilder(depth: 2, size: 6 << 20, blockSizes: .small, alike: true, using: &random)
        for (block, content) in chain.layers[0].blocks where [.undefined, .zero, .unmapped].contains(content.state) {
            chain.layers[0].blocks[block] = nil
        }
        try withScratchFolder { scratch in
            for (index, layer) in chain.layers.enumerated() {
                try scratch.write(layer.build().content, to: chain.names[index])
            }
            #expect(try LibVHDI.disk(ofFile: scratch.path(chain.names[0])) == chain.shown, "seed \(seed)")
        }
    }

    @Test(.enabled(if: TestImages.areThere, "the test images are not there"), arguments: TestImages.vhdx)
    func theReferenceReaderShowsRealImages(_ image: TestImages.Entry) throws {
        let content = try withScratchFolder { try readFile(TestImages.unpack(image.name, into: $0)) }
        let reference = try ReferenceVHDX(content)
        #expect(reference.size == image.virtualSize)
        #expect(reference.logIsEmpty == !image.name.contains("dirtylog"))
        // The hash of 10 GiB is taken once, of what the provider shows.
        if reference.size <= 1 << 30 { #expect(try sha256(of: reference.shown()) == image.diskHash) }
    }
}
