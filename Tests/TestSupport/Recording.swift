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
    /// The changes.
    public let operations: [Operation]

    /// Makes a recording.
    public init(start: SparseBytes, operations: [Operation]) {
        self.start = start
        self.operations = operations
    }

    /// What the file held after the first `count` operations: the state that a killed process leaves.
    public func content(after count: Int) -> SparseBytes {
        var content = start
        for operation in operations[..<count] { Self.apply(operation, to: &content) }
        return content
    }

    /// How many of the first `count` operations a sync has made durable.
    public func durableCount(after count: Int) -> Int {
        (operations[..<count].lastIndex(of: .synchronize) ?? -1) + 1
    }

    /// What a medium holds on which only some of the unsynced changes arrived.
    ///
    /// - Parameters:
    ///   - count: how many operations were issued before the power went.
    ///   - keepsLength: whether the length that an operation sets (or reaches by writing) is durable.
    ///   - keeps: whether one 512-byte unit of an operation is durable: the operation's index, the unit's number in the file.
    public func crashed(
        after count: Int,
        keepsLength: (Int) -> Bool,
        keeps: (Int, UInt64) -> Bool
    ) -> SparseBytes {
        let durable = durableCount(after: count)
        var content = content(after: durable)
        var length = content.count
        for index in durable..<count {
            switch operations[index] {
            case .write(let offset, let bytes):
                let end = offset + UInt64(bytes.count)
                if end > length, keepsLength(index) { length = end }
                for (unit, range) in Self.units(of: offset..<end) where keeps(index, unit) {
                    let piece = bytes[Int(range.lowerBound - offset)..<Int(range.upperBound - offset)]
                    content.store(Array(piece), at: range.lowerBound)
                }
            case .zero(let range):
                for (unit, range) in Self.units(of: range.clamped(to: 0..<content.count)) where keeps(index, unit) {
                    content.zero(range)
                }
            case .truncate(let size):
                if keepsLength(index) {
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
    public func crashed(after count: Int, using random: inout SeededGenerator) -> SparseBytes {
        let odd = Int.random(in: durableCount(after: count)...count, using: &random)
        let salt = random.next()
        let chance = UInt64([10, 50, 90].randomElement(using: &random) ?? 50)
        func coin(_ index: Int, _ unit: UInt64) -> Bool {
            var generator = SeededGenerator(seed: salt ^ UInt64(index) << 40 ^ unit)
            return generator.next() % 100 < chance
        }
        switch UInt8.random(in: 0..<7, using: &random) {
        case 0: return crashed(after: count, keepsLength: { $0 != odd }, keeps: { index, _ in index != odd })
        case 1: return crashed(after: count, keepsLength: { $0 == odd }, keeps: { index, _ in index == odd })
        case 2: return crashed(after: count, keepsLength: { _ in true }, keeps: { _, _ in false })
        case 3: return crashed(after: count, keepsLength: { _ in false }, keeps: { _, _ in true })
        case 4:
            return crashed(after: count, keepsLength: { $0 < odd }, keeps: { $0 < odd || $0 == odd && coin($0, $1) })
        case 5: return crashed(after: count, keepsLength: { _ in true }, keeps: coin)
        default: return crashed(after: count, keepsLength: { coin($0, .max) }, keeps: coin)
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

    private static func units(of range: Range<UInt64>) -> [(unit: UInt64, range: Range<UInt64>)] {
        guard !range.isEmpty else { return [] }
        return (range.lowerBound / unit...(range.upperBound - 1) / unit).map { number in
            (number, (number * unit..<(number + 1) * unit).clamped(to: range))
        }
    }
}
