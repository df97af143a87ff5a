import BlockDevice
import TestSupport
import Testing
import VHDXFormat

/// The rows of `formats.md` §6.2 about the log, and every rule of §3.7 that an entry can break.
struct DamagedLogTests {
    typealias Entry = VHDXBuilder.LogEntry

    @Test(arguments: places)
    func row(_ image: DamagedImage) throws {
        try image.check()
    }

    /// Nonsense that is no log at all, as long as nothing says that there is one.
    static let places: [DamagedImage] = [
        ("length 0", 68, [0, 0, 0, 0]), ("length of half a MiB", 68, littleEndian(UInt32(1 << 19))),
        ("length of a MiB and a sector", 68, littleEndian(UInt32((1 << 20) + 4096))),
        ("offset 0", 72, littleEndian(UInt64(0))), ("offset not at a MiB", 72, littleEndian(UInt64(1 << 20) + 4096)),
        ("offset behind the end", 72, littleEndian(UInt64(1) << 40)),
        ("offset near the last", 72, littleEndian(UInt64.max << 20)),
    ].flatMap { (name: String, offset: UInt64, bytes: [UInt8]) in
        [
            DamagedImage("empty log, \(name)", .opens, writable: .refused(.fileCorrupt)) {
                $0.edit(.header1, .header2, at: offset, bytes)
            },
            DamagedImage("log in use, \(name)", .refused(.fileCorrupt)) {
                $0.logGUID = (0x40...0x4F).map { $0 }
                $0.logEntries = [LogScene.entry(1, 1, 1)]
                $0.edit(.header1, .header2, at: offset, bytes)
            },
        ]
    }

    /// The log overlaps no region (§3.4), whether it is in use or not.
    @Test(arguments: [2, 3] as [UInt64], [false, true])
    func aLogOnARegionIsDamage(_ mib: UInt64, _ isUsed: Bool) throws {
        var scene = LogScene([LogScene.entry(1, 1, 1)])
        if !isUsed { scene.builder.logGUID = [UInt8](repeating: 0, count: 16) }
        scene.builder.edit(.header1, .header2, at: 72, mib << 20)
        #expect(scene.failure(writable: true)?.kind == .fileCorrupt)
    }

    /// An entry that breaks a rule is none; without another one the log can't be replayed.
    struct Broken: CustomTestStringConvertible {
        let testDescription: String
        let entry: Entry

        init(_ name: String, _ change: (inout Entry) -> Void) {
            testDescription = name
            var entry = Entry(7, [.data(offset: LogScene.place(1), page: LogScene.page(0x11))])
            change(&entry)
            self.entry = entry
        }

        static func zero(_ name: String, _ offset: UInt64, _ length: UInt64) -> Broken {
            Broken(name) { $0.descriptors = [.zero(offset: offset, length: length)] }
        }

        static func data(_ name: String, _ offset: UInt64) -> Broken {
            Broken(name) { $0.descriptors = [.data(offset: offset, page: LogScene.page(0x11))] }
        }
    }

    @Test(arguments: entries + targets)
    func aBrokenEntryAloneIsDamage(_ broken: Broken) throws {
        for writable in [false, true] {
            let error = LogScene([broken.entry]).failure(writable: writable)
            #expect(error?.kind == .fileCorrupt, "\(String(describing: error))")
        }
    }

    @Test(arguments: entries)
    func aBrokenEntryBehindGoodOnesIsDropped(_ broken: Broken) throws {
        var entry = broken.entry
        guard entry.sequence == 7 else { return }
        entry.tail = entry.tail ?? 0
        let good = (5...6).map { LogScene.entry($0, $0, UInt8($0), tail: 0) }
        try LogScene(good + [entry]).check([5: 5, 6: 6], entries: 2)
    }

    static let entries: [Broken] = [
        Broken("signature") { $0.edit(at: 0, Array("egol".utf8)) },
        Broken("checksum") { $0.edit(at: 4, [1, 2, 3, 4], fixesChecksum: false) },
        Broken("a bit of its page") { $0.edit(at: 5000, [0x10], fixesChecksum: false) },
        Broken("last byte of its page") { $0.edit(at: 8191, [0x10], fixesChecksum: false) },
        Broken("length 0") { $0.edit(at: 8, littleEndian(UInt32(0))) },
        Broken("length without its page") { $0.edit(at: 8, littleEndian(UInt32(4096))) },
        Broken("length with a sector more") { $0.edit(at: 8, littleEndian(UInt32(12288))) },
        Broken("length of no whole sector") { $0.edit(at: 8, littleEndian(UInt32(8191))) },
        Broken("length of the log") { $0.edit(at: 8, littleEndian(UInt32(1 << 20))) },
        Broken("length UInt32.max") { $0.edit(at: 8, littleEndian(UInt32.max)) },
        Broken("tail of no whole sector") { $0.tail = 77 },
        Broken("tail behind the log") { $0.tail = 1 << 20 },
        Broken("sequence 0") { $0.sequence = 0 },
        Broken("descriptor count 0, with a page") { $0.edit(at: 24, littleEndian(UInt32(0))) },
        Broken("descriptor count 2") { $0.edit(at: 24, littleEndian(UInt32(2))) },
        Broken("descriptor count UInt32.max") { $0.edit(at: 24, littleEndian(UInt32.max)) },
        Broken("descriptor count 0x08000000: its length overflows 32 bits") {
            $0.edit(at: 24, littleEndian(UInt32(0x0800_0000)))
        },
        Broken("GUID") { $0.guid = [UInt8](repeating: 9, count: 16) },
        Broken("descriptor signature") { $0.edit(at: 64, Array("csed".utf8)) },
        Broken("descriptor sequence") { $0.edit(at: 64 + 24, littleEndian(UInt64(6))) },
        Broken("data signature") { $0.edit(at: 4096, Array("atad".utf8)) },
        Broken("data sequence, high") { $0.edit(at: 4100, [1]) },
        Broken("data sequence, low") { $0.edit(at: 8188, [6]) },
        Broken("file offset of no whole sector") { $0.edit(at: 64 + 16, littleEndian(LogScene.place(1) + 512)) },
    ]

    static let targets: [Broken] = [
        .data("page to the identifier", 0), .data("page to header 1", 64 << 10), .data("page to header 2", 128 << 10),
        .data("page just in front of the region tables", 188 << 10), .data("page to the log", 1 << 20),
        .data("page to the log's end", (2 << 20) - 4096), .data("page behind the end", 1 << 30),
        .data("page to the last offset", .max - 4095), .zero("zeros over the log", 192 << 10, 2 << 20),
        .zero("zeros from the identifier on", 0, 4096), .zero("zeros of 2^60 bytes", 4 << 20, 1 << 60),
        .zero("zeros past the last offset", 4 << 20, .max - 4095),
        .zero("zeros past the end", 4 << 20, 1 << 30), .zero("zeros of no whole sector", 4 << 20, 100),
    ]

    @Test func aLogWithoutAnyEntryIsDamage() throws {
        #expect(LogScene().failure()?.kind == .fileCorrupt)
        #expect(LogScene().failure(writable: true)?.kind == .fileCorrupt)
    }

    @Test func aTailOutsideOfItsSequenceIsDamage() throws {
        #expect(LogScene([LogScene.entry(3, 1, 1, position: 0x4000, tail: 0)]).failure()?.kind == .fileCorrupt)
    }

    @Test(arguments: [1, 4096, 1 << 20, 1 << 50] as [UInt64])
    func aFileShorterThanWhatWasFlushedIsTruncated(_ missing: UInt64) throws {
        var scene = LogScene([LogScene.entry(1, 1, 1)])
        let length = scene.builder.build().content.count
        scene.builder.logEntries[0].flushedFileOffset = length + missing
        scene.builder.logEntries[0].lastFileOffset = length + missing
        #expect(scene.failure()?.kind == .truncated)
        #expect(scene.failure(writable: true)?.kind == .truncated)
    }

    /// What counts is the length that was flushed before the newest entry, not that of an older one.
    @Test func theNewestEntryTellsHowLongTheFileMustBe() throws {
        var scene = LogScene([LogScene.entry(1, 1, 1), LogScene.entry(2, 2, 2)])
        let length = scene.builder.build().content.count
        scene.builder.logEntries[0].flushedFileOffset = 4096
        try scene.check([1: 1, 2: 2], entries: 2)
        scene.builder.logEntries[1].flushedFileOffset = length + 4096
        #expect(scene.failure()?.kind == .truncated)
    }

    /// The ring may be full of entries that look good until their checksum is taken: opening stays quick (§0.2).
    @Test func manyEntriesDoNotMakeOpeningQuadratic() throws {
        var scene = LogScene()
        scene.builder.logLength = 1 << 20
        scene.builder.logEntries = (0..<256 as Range<UInt64>).map { index in
            var entry = Entry(300 - index, position: index * 4096, tail: 0)
            // Each claims the rest of the ring as its own.
            entry.edit(at: 8, littleEndian(UInt32((255) * 4096)))
            return entry
        }
        let error = scene.failure()
        let kinds: [DiskError.Kind] = [.fileCorrupt, .limit]
        #expect(kinds.contains(error?.kind ?? .gone), "\(String(describing: error))")
    }
}
