/// The changes of a file, in order.
///
/// The model of a medium (`formats.md` §8): between two syncs any subset of the changes may have reached it, in units of 512 bytes;
/// a change of the length may be durable before or after the bytes.
public struct Recording: Sendable {
    /// A change, or a sync.
    public enum Operation: Sendable, Hashable {
        case write(offset: UInt64, bytes: [UInt8])
        case zero(Range<UInt64>)
        case truncate(UInt64)
        case synchronize
    }

    /// What is written in one piece.
    public static let unit: UInt64 = 512

    /// The first content.
    public let start: SparseBytes
    /// The changes, in the order in which they began.
    public let operations: [Operation]
    /// For each, how many had begun when it ended.
    private let ends: [Int]

    /// Makes a recording.
    ///
    /// - Parameter ends: for each operation how many had begun when it ended; by default they came one after the other.
    public init(start: SparseBytes, operations: [Operation], ends: [Int]? = nil) {
        self.start = start
        self.operations = operations
        self.ends = ends ?? Array(1..<operations.count + 1)
    }

    /// What the file held after the first `count` operations: the state that a killed process leaves.
    public func content(after count: Int) -> SparseBytes {
        var content = start
        for operation in operations[..<count] { Self.apply(operation, to: &content) }
        return content
    }

    /// The last sync that has ended before operation `count` begins, if there is one. It stands for what had ended when it began.
    private func barrier(after count: Int) -> Int? {
        operations[..<count].indices.last { operations[$0] == .synchronize && ends[$0] <= count }
    }

    /// How many of the first `count` operations, none left out, a sync has made durable.
    public func durableCount(after count: Int) -> Int {
        guard let barrier = barrier(after: count) else { return 0 }
        return operations[...barrier].indices.first { $0 < barrier && ends[$0] > barrier } ?? barrier + 1
    }

    /// A row of operations that are durable for certain, from the first on, and what they have made of the file.
    public struct Base: Sendable {
        fileprivate var content: SparseBytes
        fileprivate var count = 0
    }

    /// No operation yet.
    public var base: Base { Base(content: start) }

    /// Moves on to all that is durable after `count` operations: who walks through a recording saves much time.
    public func advance(_ base: inout Base, to count: Int) {
        let durable = durableCount(after: count)
        guard durable > base.count else { return }
        for operation in operations[base.count..<durable] { Self.apply(operation, to: &base.content) }
        base.count = durable
    }

    /// What a medium holds on which only some of the unsynced changes arrived.
    ///
    /// - Parameters:
    ///   - count: how many operations were issued before the power went.
    ///   - base: to start from, if there is one that has come as far as `count`.
    ///   - keepsLength: whether the length that an operation sets (or reaches by writing) is durable.
    ///   - keeps: whether one 512-byte unit of an operation is durable: the operation's index, the unit's number in the file.
    public func crashed(
        after count: Int,
        on base: Base? = nil,
        keepsLength: (Int) -> Bool,
        keeps: (Int, UInt64) -> Bool
    ) -> SparseBytes {
        let barrier = barrier(after: count) ?? -1
        var base = base ?? self.base
        advance(&base, to: count)
        var content = base.content
        var length = content.count
        for index in base.count..<count {
            let isDurable = ends[index] <= barrier
            switch operations[index] {
            case .write(let offset, let bytes):
                let end = offset + UInt64(bytes.count)
                if end > length, isDurable || keepsLength(index) { length = end }
                for range in Self.runs(of: offset..<end, where: { isDurable || keeps(index, $0) }) {
                    let piece = bytes[Int(range.lowerBound - offset)..<Int(range.upperBound - offset)]
                    content.store(Array(piece), at: range.lowerBound)
                }
            case .zero(let range):
                let range = range.clamped(to: 0..<content.count)
                for run in Self.runs(of: range, where: { isDurable || keeps(index, $0) }) { content.zero(run) }
            case .truncate(let size):
                if isDurable || keepsLength(index) {
                    length = size
                    content.resize(to: min(content.count, size))
                }
            case .synchronize:
                break
            }
        }
        content.resize(to: length)
        return content
    }

    /// One of the states that `crashed(after:keepsLength:keeps:)` can give, by chance; the extreme ones come often.
    public func crashed(
        after count: Int,
        on base: Base? = nil,
        using random: inout SeededGenerator
    ) -> SparseBytes {
        let odd = Int.random(in: durableCount(after: count)...count, using: &random)
        let salt = random.next()
        let chance = UInt64([10, 50, 90].randomElement(using: &random) ?? 50)
        func coin(_ index: Int, _ unit: UInt64) -> Bool {
            var generator = SeededGenerator(seed: salt ^ UInt64(index) << 40 ^ unit)
            return generator.next() % 100 < chance
        }
        func crashed(_ keepsLength: (Int) -> Bool, _ keeps: (Int, UInt64) -> Bool) -> SparseBytes {
            self.crashed(after: count, on: base, keepsLength: keepsLength, keeps: keeps)
        }
        switch UInt8.random(in: 0..<7, using: &random) {
        case 0: return crashed({ $0 != odd }, { index, _ in index != odd })
        case 1: return crashed({ $0 == odd }, { index, _ in index == odd })
        case 2: return crashed({ _ in true }, { _, _ in false })
        case 3: return crashed({ _ in false }, { _, _ in true })
        case 4: return crashed({ $0 < odd }, { $0 < odd || $0 == odd && coin($0, $1) })
        case 5: return crashed({ _ in true }, coin)
        default: return crashed({ coin($0, .max) }, coin)
        }
    }

    private static func apply(_ operation: Operation, to content: inout SparseBytes) {
        switch operation {
        case .write(let offset, let bytes): content.store(bytes, at: offset)
        case .zero(let range): content.zero(range)
        case .truncate(let size): content.resize(to: size)
        case .synchronize: break
        }
    }

    /// The runs of units in a range that are kept.
    private static func runs(of range: Range<UInt64>, where isKept: (UInt64) -> Bool) -> [Range<UInt64>] {
        guard !range.isEmpty else { return [] }
        var runs: [Range<UInt64>] = []
        for number in range.lowerBound / unit...(range.upperBound - 1) / unit where isKept(number) {
            let piece = (number * unit..<(number + 1) * unit).clamped(to: range)
            if let last = runs.last, last.upperBound == piece.lowerBound {
                runs[runs.count - 1] = last.lowerBound..<piece.upperBound
            } else {
                runs.append(piece)
            }
        }
        return runs
    }
}
