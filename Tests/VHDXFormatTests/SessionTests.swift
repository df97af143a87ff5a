import BlockDevice
import ByteIO
import Glibc
import TestSupport
import Testing
import VHDXFormat

/// What a session does to the file, and when: nothing before the first write, the headers before the data, an empty log at the end.
struct SessionTests {
    func content(_ builder: VHDXBuilder) -> SparseBytes { builder.build().content }

    func builder(_ fill: UInt8 = 7) -> VHDXBuilder {
        VHDXBuilder(.dynamic, disk: SparseBytes([UInt8](repeating: fill, count: 3 << 20)), blockSize: 1 << 20)
    }

    @Test func readingASoundImageForWritingChangesNothing() throws {
        let file = RecordingFile(content(builder()))
        let disk = try OpenDisk(file, writable: true)
        _ = try disk.device.contents(0..<disk.device.size)
        try disk.device.synchronize()
        try disk.finish()
        #expect(file.recording.operations.allSatisfy { $0 == .synchronize })
    }

    @Test func readingADirtyImageForWritingChangesNothing() throws {
        var builder = builder()
        builder.hide(.table, .metadata)
        let before = content(builder)
        let file = RecordingFile(before)
        let disk = try OpenDisk(file, writable: true)
        #expect(disk.leaf.facts.replayedEntries > 0)
        try DiskModel(builder.shown()).check(disk.device)
        try disk.finish()
        #expect(file.content == before)
    }

    @Test func theFirstWriteReplaysTheLogIntoTheFile() throws {
        var builder = builder()
        builder.hide(.table, .metadata)
        let file = MemoryFile(content(builder))
        let disk = try OpenDisk(file, writable: true)
        var model = DiskModel(builder.shown())
        try model.perform(.write([1, 2, 3], at: 1_500_000), on: disk.device)
        try model.check(disk.device)
        // Nothing was flushed, and yet the log is not needed any more.
        #expect(try ReferenceVHDX(file.content).logIsEmpty)
        try disk.finish()
        try model.check(OpenDisk(file, writable: false).device)
        #expect(try ReferenceVHDX(file.content).shown() == model.bytes)
    }

    @Test func theHeadersSayThatTheDataChangesBeforeItDoes() throws {
        let image = content(builder())
        let before = try ReferenceVHDX(image)
        let file = RecordingFile(image)
        let disk = try OpenDisk(file, writable: true)
        try disk.device.store([9], at: 5)
        let recording = file.recording
        let dataWrite = recording.operations.firstIndex { operation in
            if case .write(_, let bytes) = operation { return bytes == [9] }
            return false
        }
        let state = recording.content(after: recording.durableCount(after: try #require(dataWrite)))
        let after = try ReferenceVHDX(state)
        #expect(after.headersAgree)
        #expect(after.fileWriteGUID != before.fileWriteGUID)
        #expect(after.dataWriteGUID != before.dataWriteGUID)
        #expect(disk.leaf.dataWriteGUID.bytes == after.dataWriteGUID)
        #expect(disk.leaf.facts.dataWriteGUID.bytes == before.dataWriteGUID)
    }

    @Test func overwritingInPlaceNeedsNoLog() throws {
        let file = MemoryFile(content(builder()))
        let disk = try OpenDisk(file, writable: true)
        try disk.device.store([9], at: 5)
        try disk.device.synchronize()
        #expect(try ReferenceVHDX(file.content).logIsEmpty)
    }

    @Test func identifiersChangeOnceASession() throws {
        let file = MemoryFile(content(builder()))
        let disk = try OpenDisk(file, writable: true)
        try disk.device.store([9], at: 5)
        let first = try ReferenceVHDX(file.content)
        try disk.device.zero(0..<1 << 20)
        try disk.finish()
        try disk.device.store([8], at: 5)
        try disk.finish()
        let second = try ReferenceVHDX(file.content)
        #expect(first.dataWriteGUID == second.dataWriteGUID)
        #expect(first.fileWriteGUID == second.fileWriteGUID)
        let next = try OpenDisk(file, writable: true)
        try next.device.store([9], at: 5)
        #expect(try ReferenceVHDX(file.content).dataWriteGUID != second.dataWriteGUID)
    }

    @Test(arguments: [VHDXBuilder.Structure.header1, .header2, .regions1, .regions2])
    func aDamagedCopyIsMendedByTheFirstSession(_ structure: VHDXBuilder.Structure) throws {
        var builder = builder()
        builder.edit(structure, at: 20, [0xEE, 0xEE], fixesChecksum: false)
        // The header that counts is the good one, whatever its number was.
        let file = MemoryFile(content(builder))
        let disk = try OpenDisk(file, writable: true)
        #expect(disk.leaf.facts.warnings.count == 1)
        var model = DiskModel(builder.shown())
        try model.perform(.write([5], at: 99), on: disk.device)
        try disk.finish()
        let reference = try ReferenceVHDX(file.content)
        #expect(reference.headersAgree && reference.regionTablesAgree && reference.logIsEmpty)
        #expect(reference.shown() == model.bytes)
        #expect(try OpenDisk(file, writable: false).leaf.facts.warnings.isEmpty)
    }

    @Test func aZeroBlockWithAnOffsetIsPutRight() throws {
        var builder = builder()
        builder.entryOverrides[1] = 7 << 20 | 2
        let file = MemoryFile(content(builder))
        let disk = try OpenDisk(file, writable: true)
        try disk.device.store([5], at: 99)
        try disk.finish()
        #expect(try ReferenceVHDX(file.content).blocks[1]?.offset == 0)
    }

    @Test func theLogIsEmptiedWhenNothingHappens() throws {
        let file = MemoryFile(content(VHDXBuilder(.dynamic, size: 8 << 20, blockSize: 1 << 20)))
        let layer = try VHDXImage.open(
            file,
            options: VHDXOpenOptions(isWritable: true, checkpointDelay: .milliseconds(20))
        )
        let device = Chain(leaf: layer, isReadOnly: false)
        try device.store([1], at: 0)
        try device.synchronize()
        var isEmpty = false
        for _ in 0..<1000 where !isEmpty {
            usleep(10_000)
            isEmpty = (try? ReferenceVHDX(file.content).logIsEmpty) ?? false
        }
        #expect(isEmpty)
    }

    @Test func aFreedBlockIsNotUsedByAnotherOneInTheSameSession() throws {
        let file = MemoryFile(content(builder()))
        let disk = try OpenDisk(file, writable: true)
        let place = try #require(ReferenceVHDX(file.content).blocks[0]?.offset)
        try disk.device.zero(0..<1 << 20)
        try disk.device.synchronize()
        #expect(try ReferenceVHDX(file.content).blocks[0]?.state == 2)
        try disk.device.store([1], at: 10)
        try disk.finish()
        #expect(try ReferenceVHDX(file.content).blocks[0]?.offset == place)
    }

    @Test func roomOfEarlierSessionsIsUsedAgain() throws {
        let file = MemoryFile(content(builder()))
        var disk = try OpenDisk(file, writable: true)
        try disk.device.zero(0..<2 << 20)
        try disk.finish()
        let length = try file.size()
        disk = try OpenDisk(file, writable: true)
        try disk.device.store([1], at: 10)
        try disk.device.store([1], at: 1 << 20)
        try disk.finish()
        #expect(try file.size() == length)
        let shown = try ReferenceVHDX(file.content).shown()
        #expect(shown[0..<20] == [UInt8](repeating: 0, count: 10) + [1] + [UInt8](repeating: 0, count: 9))
    }

    @Test func aSequenceNumberNearItsEndIsOnlyRead() throws {
        var builder = builder()
        builder.sequences = (.max - 1, .max)
        let file = MemoryFile(content(builder))
        _ = try OpenDisk(file, writable: false)
        #expect(throws: DiskError.self) { try OpenDisk(file, writable: true) }
    }

    /// The version of the log matters only while there is something in it; what we write has version 0.
    @Test func aLogOfAnotherVersionIsWrittenAsOurs() throws {
        var builder = builder()
        builder.size = 8 << 20
        builder.disk.resize(to: builder.size)
        builder.edit(.header1, at: 64, [1, 0])
        builder.edit(.header2, at: 64, [1, 0])
        let file = MemoryFile(content(builder))
        let disk = try OpenDisk(file, writable: true)
        try disk.device.store([1], at: 5 << 20)
        try disk.device.synchronize()
        // The process is killed here.
        let again = try OpenDisk(file, writable: false)
        #expect(again.leaf.facts.replayedEntries == 1)
        #expect(try again.device.contents(5 << 20..<(5 << 20) + 2) == [1, 0])
    }

    /// Other programs may show old bytes of such blocks: zeros that were written are kept.
    @Test(arguments: [VHDXBuilder.State.undefined, .unmapped], [false, true])
    func zerosOverABlockWithoutContentAreKept(_ state: VHDXBuilder.State, _ punches: Bool) throws {
        var builder = builder()
        builder.blocks[1] = .init(state, isAnchored: true)
        let file = MemoryFile(content(builder))
        let disk = try OpenDisk(file, writable: true)
        let range: Range<UInt64> = 1_200_000..<1_300_000
        if punches {
            try disk.device.zero(range)
        } else {
            try disk.device.store([UInt8](repeating: 0, count: 100_000), at: 1_200_000)
        }
        try disk.finish()
        #expect(try ReferenceVHDX(file.content).blocks[1]?.state == 2)
    }

    /// An entry of the log names lengths in whole MiB, whatever the file's length is.
    @Test func lengthsInTheLogAreWholeMebibytes() throws {
        var builder = VHDXBuilder(
            .dynamic,
            disk: SparseBytes([UInt8](repeating: 7, count: 2 << 20)),
            blockSize: 1 << 20
        )
        builder.surplusLength = 512
        let file = MemoryFile(content(builder))
        let disk = try OpenDisk(file, writable: true)
        try disk.device.zero(0..<1 << 20)
        try disk.device.synchronize()
        let entry = file.content[1 << 20..<(1 << 20) + 64]
        let lengths = try [48, 56].map { try entry.load(UInt64.self, at: $0, .little) }
        #expect(lengths.allSatisfy { $0 > 0 && $0 % (1 << 20) == 0 && $0 <= file.content.count })
    }
}
