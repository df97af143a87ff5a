import BlockDevice
import TestSupport
import Testing

/// Whatever stands in a file: it is refused, or read; it never stops the process, and opening never changes it.
struct HostileImageTests {
    static let interesting: [UInt64] = [
        0, 1, 511, 4095, 4096, 65535, 1 << 20, 0x7FFF_FFFF, 0xFFFF_FFFF, 1 << 32, 1 << 41, 1 << 44, 1 << 63, .max,
        .max - 4095,
        .max << 20, 6, 7 | 1 << 20, .max << 20 | 6,
    ]

    @Test(arguments: SeededGenerator.seeds(300))
    func randomFieldsNeverTrap(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let layers = ChainBuilder(depth: 2, size: 3 << 20, blockSizes: .small, using: &random).layers
        var builder = layers[Int.random(in: 0...1, using: &random)]
        for _ in 0..<Int.random(in: 1...4, using: &random) { change(&builder, using: &random) }
        if Bool.random(using: &random) {
            builder.hide(.table, .metadata, .regionTables) { $0.pagesPerEntry = 2 }
            if Bool.random(using: &random) { addEntry(to: &builder, using: &random) }
        }
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
            try use(disk, file, writable: writable)
        }
    }

    /// Reads and writes here and there; what is read twice is the same.
    private func use(_ disk: OpenDisk, _ file: RecordingFile, writable: Bool) throws {
        let size = disk.device.size
        for offset in [0, size / 2, size - min(size, 4096)] {
            let first = try? disk.device.contents(offset..<min(size, offset + 4096))
            #expect(try first == nil || disk.device.contents(offset..<min(size, offset + 4096)) == first)
            if let run = try? disk.device.allocation(at: offset, limit: size) {
                #expect(run.end > offset && run.end <= size)
            }
        }
        #expect(file.operationCount == 0)
        guard writable else { return }
        try? disk.device.store([1, 2, 3], at: size / 3)
        try? disk.device.zero(0..<min(size, 5000))
        try? disk.finish()
    }

    private func change(_ builder: inout VHDXBuilder, using random: inout SeededGenerator) {
        let value = Self.interesting.randomElement(using: &random) ?? 0
        let small = UInt32(truncatingIfNeeded: value)
        let fixes = UInt8.random(in: 0..<8, using: &random) != 0
        func place(_ places: [UInt64]) -> UInt64 { places.randomElement(using: &random) ?? 0 }
        switch UInt8.random(in: 0..<7, using: &random) {
        case 0: builder.edit(.header1, .header2, at: place([8, 48, 72]), value, fixesChecksum: fixes)
        case 1: builder.edit(.header1, .header2, at: place([64, 66, 68]), small, fixesChecksum: fixes)
        case 2: builder.edit(.regions1, .regions2, at: place([8, 16, 32, 48, 64]), value, fixesChecksum: fixes)
        case 3: builder.edit(.regions1, .regions2, at: place([40, 44, 72, 76]), small, fixesChecksum: fixes)
        case 4:
            let entry = UInt64.random(in: 0..<6, using: &random) * 32
            builder.edit(.metadata, at: place([10, 48 + entry, 52 + entry, 56 + entry]), small)
        case 5:
            var items = builder.items ?? builder.standardItems
            let index = Int.random(in: items.indices, using: &random)
            for byte in items[index].bytes.indices where UInt8.random(in: 0..<4, using: &random) == 0 {
                items[index].bytes[byte] = UInt8.random(in: .min ... .max, using: &random)
            }
            builder.items = items
        default: builder.entryOverrides[UInt64.random(in: 0..<3, using: &random)] = value
        }
    }

    /// An entry whose checksum is right and whose fields are not.
    private func addEntry(to builder: inout VHDXBuilder, using random: inout SeededGenerator) {
        func number() -> UInt64 { Self.interesting.randomElement(using: &random) ?? 0 }
        var entry = VHDXBuilder.LogEntry(
            1,
            [
                .data(offset: number(), page: random.bytes(4096)), .zero(offset: number(), length: number()),
                .zero(offset: 3 << 20, length: number()),
            ],
            position: 0x80000,
            tail: 0x80000
        )
        entry.sequence = [1, 1 << 40, .max].randomElement(using: &random) ?? 1
        if Bool.random(using: &random) { entry.lastFileOffset = number() }
        if Bool.random(using: &random) { entry.flushedFileOffset = number() }
        if Bool.random(using: &random) {
            let field = [8, 12, 24, 72, 80, 96].randomElement(using: &random) ?? 8
            entry.edit(at: field, littleEndian(UInt32(truncatingIfNeeded: number())))
        }
        builder.logEntries = [entry]
    }

    @Test(arguments: SeededGenerator.seeds(40))
    func randomFilesNeverTrap(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var content = SparseBytes(random.bytes(Int.random(in: 0...5000, using: &random)))
        if Bool.random(using: &random) {
            content = VHDXBuilder.base().build().content
            // Noise over the structures, and no checksum is right.
            for _ in 0..<20 {
                let place = UInt64.random(in: 65536..<4 << 20, using: &random)
                content.store(random.bytes(Int.random(in: 1...30_000, using: &random)), at: place)
            }
        }
        for writable in [false, true] {
            let file = RecordingFile(content)
            guard let disk = try? OpenDisk(file, writable: writable) else {
                #expect(file.operationCount == 0)
                continue
            }
            try use(disk, file, writable: writable)
        }
    }

    /// A file that is cut while its disk is open gives errors, never zeros.
    @Test(arguments: [false, true])
    func aFileThatShrinksIsNoticed(_ writable: Bool) throws {
        let builder = VHDXBuilder.base()
        let file = MemoryFile(builder.build().content)
        let disk = try OpenDisk(file, writable: writable)
        let place = builder.offset(ofBlock: 2)
        file.content.resize(to: place + 5000)
        #expect(try disk.device.contents(2 << 20..<2 << 20 + 5000) == [UInt8](repeating: 3, count: 5000))
        #expect(throws: DiskError.self) { try disk.device.contents(2 << 20 + 4000..<2 << 20 + 6000) }
    }

    /// Tables, items and logs at the edge of what is legal are read, those beyond it refused: never by filling the memory.
    @Test func hugeStructures() throws {
        var builder = VHDXBuilder.base()
        builder.tableLength = 2 << 30
        builder.metadataOffset = 3 << 30
        builder.metadataLength = 128 << 20
        builder.logOffset = 4 << 30
        builder.logLength = 1 << 30
        builder.extraItems = [.init([UInt8](repeating: 1, count: 16), flags: 1, [UInt8](repeating: 1, count: 1 << 20))]
        let counted = CountingFile(MemoryFile(builder.build().content))
        try DiskModel(builder.shown()).check(OpenDisk(counted, writable: true).device)
        #expect(counted.readBytes < 64 << 20)

        builder.logLength = (1 << 30) + (1 << 20)
        builder.logGUID[0] = 1
        #expect(throws: DiskError.self) { try OpenDisk(MemoryFile(builder.build().content), writable: false) }
    }

    /// An old and a new entry with as many descriptors as fit: the newer one counts everywhere, and it takes no time that grows with the square.
    @Test func manyOverlappingChanges() throws {
        var scene = LogScene()
        let pages = UInt64(250)
        func zeros(_ from: UInt64) -> VHDXBuilder.LogEntry.Descriptor {
            .zero(offset: LogScene.place(from), length: (256 - from) * 4096)
        }
        scene.builder.logEntries = [
            .init(1, (0..<7000).map { zeros(UInt64($0 % 255)) }),
            .init(2, (0..<7000).map { zeros(UInt64(255 - $0 % 255)) }),
            LogScene.entry(3, pages, 0x10),
        ]
        var expected = scene.shown([:])
        expected.zero(0..<1 << 20)
        expected.store(LogScene.page(0x10), at: pages * 4096)
        try LogScene.check(scene.builder.build().content, shows: expected, entries: 3)
    }
}
