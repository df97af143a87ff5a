import BlockDevice
import Platform
import TestSupport

/// Programs at work on a mounted disk, all at once, while every change of its image file was recorded.
struct Session {
    let disk: TestDisk
    let recording: Recording
    let diary: Diary
    /// The part of the disk that each writer has, and last the partition table.
    let parts: [Range<UInt64>]

    /// Attaches, divides the disk, works on it in two rounds, the second one on an image that was left complete, and detaches.
    init(_ kind: DiskKind, steps: Int, using random: inout SeededGenerator) throws {
        let disk = TestDisk(kind, using: &random)
        let boundaries = disk.boundaries(using: &random)
        let parts = (0..<kind.writers).map { boundaries[$0]..<boundaries[$0 + 1] } + [0..<512]
        let seed = random.next()
        let (recording, diary) = try withScratchFolder { scratch in
            let path = try scratch.write(disk.leaf, to: disk.leafName)
            if let parent = disk.parent { try scratch.write(parent, to: disk.parentName) }
            let recorder = RecordingFile(over: try openFile(path, writable: true), holding: disk.leaf)
            let diary = Diary(disk.shown, parts: parts.count, file: recorder)
            try withProgram(in: scratch, layer: { file -> any HostFile in file.path == path ? recorder : file }) {
                program in
                try program.control("attach '\(path)' no-drive-letter")
                try Self.divide(program, diary, disk, parts)
                for round in 0..<2 {
                    try Self.work(program, diary, disk, parts, steps: steps / 2, seed: seed &+ UInt64(round) << 32)
                    // The last writer has closed its files: complete, though it is still attached.
                    try Self.checkClosed(recorder.content, diary, disk, parts)
                }
                try diary.promise { try program.control("detach leaf") }
            }
            try Self.checkClosed(recorder.content, diary, disk, parts)
            guard try scratch.read(disk.leafName) == recorder.content else {
                throw TestSupportError("the recording is not what happened to the file")
            }
            return (recorder.recording, diary)
        }
        (self.disk, self.recording, self.diary, self.parts) = (disk, recording, diary, parts)
    }

    /// Writes a partition table, by which each writer gets a file of its own.
    private static func divide(
        _ program: Program,
        _ diary: Diary,
        _ disk: TestDisk,
        _ parts: [Range<UInt64>]
    ) throws {
        var table = [UInt8](repeating: 0, count: 512)
        for (index, part) in parts.dropLast().dropFirst().enumerated() {
            table[446 + 16 * index + 4] = 0x83
            for byte in 0..<4 {
                table[446 + 16 * index + 8 + byte] = UInt8(truncatingIfNeeded: (part.lowerBound / 512) >> (8 * byte))
                table[446 + 16 * index + 12 + byte] = UInt8(truncatingIfNeeded: (part.count / 512) >> (8 * byte))
            }
        }
        (table[510], table[511]) = (0x55, 0xAA)
        var shown = disk.shown
        shown.store(table, at: 0)
        let file = try program.open("disk")
        try diary.change(0..<512, by: parts.count - 1, to: shown) {
            try file.write(table, at: 0)
        }
        diary.promise { file.closeEarly() }
    }

    /// All writers at once, and one who only reads. When the last of them has closed its files, all is durable.
    private static func work(
        _ program: Program,
        _ diary: Diary,
        _ disk: TestDisk,
        _ parts: [Range<UInt64>],
        steps: Int,
        seed: UInt64
    ) throws {
        let writers = try (0..<parts.count - 1).map { number in
            try Writer(number, parts[number], program, diary, disk, seed: seed &+ UInt64(number))
        }
        let reader = try program.open("disk", flags: 0)
        try inParallel(writers.count + 1) { number in
            if number < writers.count {
                var writer = writers[number]
                for _ in 0..<steps { try writer.step() }
            } else {
                var random = SeededGenerator(seed: seed)
                for _ in 0..<steps {
                    let range = random.range(in: disk.shown.count, longest: 60_000)
                    guard try reader.bytes(range).count == range.count else { throw TestSupportError("a short read") }
                }
            }
        }
        reader.closeEarly()
        diary.promise { for writer in writers { writer.close() } }
    }

    /// What is left when nobody writes is in good order, and shows what was written last.
    private static func checkClosed(
        _ content: SparseBytes,
        _ diary: Diary,
        _ disk: TestDisk,
        _ parts: [Range<UInt64>]
    ) throws {
        let shown = try disk.kind.referenceDisk(content, over: disk.below, isClosed: true)
        for (number, part) in parts.enumerated() {
            let wanted = diary.allowed(number, after: .max).last ?? disk.shown
            if let index = differingIndex(shown[part], wanted[part]) {
                throw TestSupportError("byte \(part.lowerBound + UInt64(index)) differs in the closed image")
            }
        }
    }

    /// What each part may show after a power cut behind `count` operations.
    func allowed(after count: Int) -> [[SparseBytes]] {
        parts.indices.map { diary.allowed($0, after: count) }
    }
}
