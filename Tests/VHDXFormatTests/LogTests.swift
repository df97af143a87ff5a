import BlockDevice
import TestSupport
import Testing
import VHDXFormat

/// Which entries of the log are replayed, and in which order (`formats.md` §3.7).
struct LogTests {
    typealias Entry = VHDXBuilder.LogEntry

    @Test func oneEntry() throws {
        try LogScene([LogScene.entry(1, 3, 0x77)]).check([3: 0x77], entries: 1)
    }

    @Test func theOnlyEntryWithoutDescriptors() throws {
        try LogScene([Entry(9)]).check([:], entries: 1)
    }

    /// Windows' own file: five entries, of which the last's tail leaves two.
    @Test func fiveEntriesOfWhichTheLastTailLeavesTwo() throws {
        let tails: [UInt32] = [0, 0x1000, 0x1000, 0x1000, 0x5000]
        var entries = [Entry(40, tail: 0)]
        for (index, tail) in tails.enumerated().dropFirst() {
            entries.append(LogScene.entry(40 + UInt64(index), UInt64(index), UInt8(index), tail: tail))
        }
        // An entry with a page takes two sectors: the fourth of these is at 0x5000.
        let scene = LogScene(entries)
        #expect(scene.builder.build().logPositions == [0, 0x1000, 0x3000, 0x5000, 0x7000])
        try scene.check([3: 3, 4: 4], entries: 2)
    }

    @Test func theNewerEntryWins() throws {
        let entries = (1...9).map { LogScene.entry(100 + $0, 5, UInt8($0)) }
        try LogScene(entries).check([5: 9], entries: 9)
    }

    @Test(arguments: [0, 1, 5, 17, 200, 254, 255] as [UInt64])
    func aSequenceMayBeginAnywhereAndWrapAround(_ sector: UInt64) throws {
        var entries = (1...6).map { LogScene.entry(70 + $0, $0 % 4, UInt8($0)) }
        entries[0].position = sector * 4096
        try LogScene(entries).check([0: 4, 1: 5, 2: 6, 3: 3], entries: 6)
    }

    /// An entry's own bytes may wrap around at any of its sectors: descriptors of two sectors, then pages.
    @Test(arguments: [1, 2, 3, 100] as [UInt64])
    func anEntryMayWrapAroundAtAnySector(_ beforeEnd: UInt64) throws {
        let descriptors = (0..<130 as Range<UInt64>).map { page in
            Entry.Descriptor.data(offset: LogScene.place(page), page: LogScene.page(UInt8(page + 1)))
        }
        let scene = LogScene([Entry(5, descriptors, position: LogScene.logLength - beforeEnd * 4096)])
        try scene.check(Dictionary(uniqueKeysWithValues: (0..<130).map { ($0, UInt8($0 + 1)) }), entries: 1)
    }

    /// 126 descriptors fill the first sector, 128 each later one.
    @Test(arguments: [1, 125, 126, 127, 128, 253, 254, 255, 382, 383])
    func descriptorsFillSectors(_ count: Int) throws {
        let descriptors = (0..<count).map { index in
            Entry.Descriptor.zero(offset: LogScene.place(UInt64(index % 256)), length: 4096)
        }
        let last = Entry.Descriptor.data(offset: LogScene.place(7), page: LogScene.page(0x42))
        var scene = LogScene([Entry(1, descriptors.dropLast() + [last])])
        for page in 0..<UInt64(min(count - 1, 256)) where page != 7 {
            scene.builder.edit(.file, at: LogScene.place(page), [UInt8](repeating: 0xDD, count: 4096))
        }
        let content = scene.builder.build().content
        var expected = scene.shown([:])
        expected.zero(0..<UInt64(min(count - 1, 256)) * 4096)
        expected.store(LogScene.page(0x42), at: 7 * 4096)
        try LogScene.check(content, shows: expected, entries: 1)
    }

    @Test func zeroDescriptorsAndPagesTakeTurns() throws {
        let zero = Entry.Descriptor.zero(offset: LogScene.place(0), length: 8 * 4096)
        var scene = LogScene([
            LogScene.entry(1, 2, 0x11), Entry(2, [zero]), LogScene.entry(3, 5, 0x22),
            Entry(4, [.zero(offset: LogScene.place(100), length: 0)]),
        ])
        // A range of many blocks' length in the free space behind the disk's blocks is legal too.
        scene.builder.surplusLength = 64 << 20
        var expected = scene.shown([:])
        expected.zero(0..<8 * 4096)
        expected.store(LogScene.page(0x22), at: 5 * 4096)
        try LogScene.check(scene.builder.build().content, shows: expected, entries: 4)
    }

    @Test(arguments: 0..<3)
    func aTornLastEntryIsDropped(_ sectors: Int) throws {
        var torn = Entry(
            3,
            [
                .data(offset: LogScene.place(1), page: LogScene.page(0x33)),
                .data(offset: LogScene.place(2), page: LogScene.page(0x33)),
            ]
        )
        torn.writtenSectors = sectors
        let entries = [LogScene.entry(1, 1, 0x11), LogScene.entry(2, 2, 0x22), torn]
        try LogScene(entries).check([1: 0x11, 2: 0x22], entries: 2)
    }

    @Test func aTornEntryDoesNotBringBackAnOlderSequence() throws {
        // 1 and 2 are of an earlier turn around the ring, the active ones are 8 and 9; 10 is torn.
        var torn = LogScene.entry(10, 3, 0x99, tail: 0x10000)
        torn.writtenSectors = 1
        let entries = [
            LogScene.entry(1, 1, 0x11, position: 0, tail: 0), LogScene.entry(2, 2, 0x22, tail: 0),
            LogScene.entry(8, 4, 0x44, position: 0x10000, tail: 0x10000), LogScene.entry(9, 5, 0x55, tail: 0x10000),
            torn,
        ]
        try LogScene(entries).check([4: 0x44, 5: 0x55], entries: 2)
    }

    @Test func theSequenceWithTheGreatestEndCounts() throws {
        // The longer one is older, and comes first.
        let entries =
            (1...5).map { LogScene.entry($0, $0, 0x11, position: $0 == 1 ? 0 : nil, tail: 0) }
            + [LogScene.entry(50, 7, 0x77, position: 0x80000, tail: 0x80000)]
        try LogScene(entries).check([7: 0x77], entries: 1)
    }

    @Test func entriesOfOtherSessionsAreStale() throws {
        var stale = (1...4).map { LogScene.entry(500 + $0, $0, 0xBB, tail: 0) }
        for index in stale.indices { stale[index].guid = [UInt8](repeating: 7, count: 16) }
        stale[0].position = 0
        let entries = stale + [LogScene.entry(2, 1, 0x11, position: 0x2000, tail: 0x2000)]
        try LogScene(entries).check([1: 0x11], entries: 1)
    }

    @Test func aGapInTheNumbersEndsASequence() throws {
        let entries = [
            LogScene.entry(1, 1, 0x11, tail: 0), LogScene.entry(2, 2, 0x22, tail: 0),
            LogScene.entry(4, 4, 0x44, tail: 0),
        ]
        // Entry 4's tail is not in its own sequence.
        try LogScene(entries).check([1: 0x11, 2: 0x22], entries: 2)
    }

    @Test func largeSequenceNumbers() throws {
        let start = UInt64(0x1234_5678_FFFF_FFFE)
        let entries = (0..<4).map { LogScene.entry(start + UInt64($0), UInt64($0), UInt8($0 + 1)) }
        try LogScene(entries).check([0: 1, 1: 2, 2: 3, 3: 4], entries: 4)
    }

    /// An entry inside another's data is no entry of its own: the guest's or the tables' bytes must not be taken for a log.
    @Test func pagesThatLookLikeEntriesAreNotReplayed() throws {
        let inner = LogScene([LogScene.entry(900, 9, 0x99, tail: 0)]).builder.build().content[
            1 << 20..<(1 << 20) + 4096
        ]
        let entries = [Entry(1, [.data(offset: LogScene.place(20), page: inner)])]
        let scene = LogScene(entries)
        var expected = scene.shown([:])
        expected.store(inner, at: 20 * 4096)
        try LogScene.check(scene.builder.build().content, shows: expected, entries: 1)
    }

    @Test func theFileIsExtendedToWhatTheLogKnows() throws {
        // The last block of the file was allocated, and the file's length was lost.
        var scene = LogScene()
        let built = scene.builder.build()
        let last = built.end - (1 << 20)
        let block = try #require(built.blockOffsets.first { $0.value == last }?.key)
        var entry = LogScene.entry(1, 1, 0x11)
        entry.lastFileOffset = built.end
        entry.flushedFileOffset = last
        scene.builder.logEntries = [entry]
        scene.builder.fileLength = last
        var expected = scene.shown([1: 0x11])
        expected.zero(block << 20..<(block + 1) << 20)
        let content = scene.builder.build().content
        try LogScene.check(content, shows: expected, entries: 1)
        let disk = try OpenDisk(MemoryFile(content), writable: false)
        try DiskModel(expected).checkHoles(of: disk.device)
    }
}
