import Glibc
import Platform
import TestSupport

/// A program that writes to its part of the disk through its partition, and sometimes through the whole disk, and finds there what
/// it has written.
struct Writer {
    private let number: Int
    private let part: Range<UInt64>
    private let diary: Diary
    private let longest: UInt64
    private var random: SeededGenerator
    private var shown: DiskModel
    /// Most of what it does happens in few places: what was written is written again.
    private let places: [Range<UInt64>]

    /// The partition; the whole disk for the first writer.
    private let own: Descriptor
    /// Where `own` begins on the disk.
    private let start: UInt64
    private let synchronous: Descriptor
    private let whole: Descriptor

    init(
        _ number: Int,
        _ part: Range<UInt64>,
        _ program: Program,
        _ diary: Diary,
        _ disk: TestDisk,
        seed: UInt64
    ) throws {
        (self.number, self.part, self.diary) = (number, part, diary)
        longest = disk.kind.longestWrite
        var random = SeededGenerator(seed: seed)
        shown = DiskModel(diary.allowed(number, after: .max).last ?? disk.shown)
        let size = UInt64(part.count)
        places = (0..<5).map { _ in
            let start = UInt64.random(in: 0..<size, using: &random)
            return part.lowerBound + start..<part.lowerBound + min(size, start + 3 * disk.kind.longestWrite)
        }
        self.random = random
        let name = number == 0 ? "disk" : "p\(number)"
        start = number == 0 ? 0 : part.lowerBound
        own = try program.open(name)
        synchronous = try program.open(name, flags: O_RDWR | O_DSYNC)
        whole = try program.open("disk")
    }

    func close() {
        for file in [own, synchronous, whole] { file.closeEarly() }
    }

    /// The bytes that a step is about.
    private mutating func range() -> Range<UInt64> {
        let place = places.randomElement(using: &random) ?? part
        let range = random.range(in: UInt64(place.count), longest: longest)
        return place.lowerBound + range.lowerBound..<place.lowerBound + range.upperBound
    }

    mutating func step() throws {
        switch UInt8.random(in: 0..<16, using: &random) {
        case 0: try diary.promise { try own.synchronizeData() }
        case 1: try diary.promise { try whole.synchronize() }
        case 2: try zero(range()) { [own, start] in try own.punchHole($0.moved(by: start)) }
        case 3: try zero(range()) { [whole] in try whole.zeroRange($0) }
        case 4: try zeroMuch()
        case 5:
            try write(range(), isSynchronous: true) { [synchronous, start] in
                try synchronous.write($0, at: $1 - start)
            }
        case 6: try map()
        case 7, 8: try write(range()) { [whole] in try whole.write($0, at: $1) }
        case 9...12: try write(range()) { [own, start] in try own.write($0, at: $1 - start) }
        default: try read()
        }
    }

    private mutating func write(
        _ range: Range<UInt64>,
        isSynchronous: Bool = false,
        _ body: ([UInt8], UInt64) throws -> Void
    ) throws {
        // Zeros too: over a parent they must hold.
        let isZero = UInt8.random(in: 0..<8, using: &random) == 0
        let bytes = isZero ? [UInt8](repeating: 0, count: range.count) : random.bytes(range.count)
        shown.bytes.store(bytes, at: range.lowerBound)
        try diary.change(range, by: number, to: shown.bytes, isSynchronous: isSynchronous) {
            try body(bytes, range.lowerBound)
        }
    }

    private mutating func zero(_ range: Range<UInt64>, _ body: (Range<UInt64>) throws -> Void) throws {
        shown.bytes.zero(range)
        try diary.change(range, by: number, to: shown.bytes) { try body(range) }
    }

    /// A third of the part: whole blocks are unlinked.
    private mutating func zeroMuch() throws {
        let count = UInt64(part.count) / 3
        let first = part.lowerBound + UInt64.random(in: 0...2, using: &random) * count
        try zero(first..<first + count) { [own, start] in try own.punchHole($0.moved(by: start)) }
    }

    /// A store through a mapping is durable after `msync`.
    private mutating func map() throws {
        let range = range()
        // Whole pages are written back, so only of a file that nobody else writes to.
        guard number > 0 else { return }
        try write(range, isSynchronous: true) { [own, start] bytes, offset in
            let page = (offset - start) / 4096 * 4096
            let skip = Int(offset - start - page)
            guard
                let memory = unsafe mmap(
                    nil,
                    skip + bytes.count,
                    PROT_READ | PROT_WRITE,
                    MAP_SHARED,
                    own.rawValue,
                    off_t(page)
                ), unsafe memory != MAP_FAILED
            else { throw TestSupportError("mmap: errno \(errno)") }
            unsafe bytes.withUnsafeBytes {
                unsafe UnsafeMutableRawBufferPointer(start: memory + skip, count: $0.count).copyMemory(from: $0)
            }
            let status = unsafe msync(memory, skip + bytes.count, MS_SYNC)
            unsafe munmap(memory, skip + bytes.count)
            guard status == 0 else { throw TestSupportError("msync: errno \(errno)") }
        }
    }

    private mutating func read() throws {
        let range = range()
        let bytes =
            Bool.random(using: &random)
            ? try own.bytes(range.moved(by: start)) : try whole.bytes(range)
        if let index = differingIndex(bytes, shown.bytes[range]) {
            throw TestSupportError("writer \(number) does not find again byte \(range.lowerBound + UInt64(index))")
        }
    }
}

extension Range<UInt64> {
    /// The range counted from `start` on.
    fileprivate func moved(by start: UInt64) -> Range<UInt64> {
        lowerBound - start..<upperBound - start
    }
}
