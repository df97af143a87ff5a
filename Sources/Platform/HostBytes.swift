/// Where a range of bytes stands on the host, piece by piece, in order: for replies that the kernel takes from there by itself.
///
/// A handful of pieces; a plain value, so that making one allocates nothing.
public struct HostBytes: Sendable {
    /// Bytes that stand in one place.
    public struct Piece: Sendable {
        /// An open file of the host, which stays open as long as the device is there; nil for zeros.
        public var descriptor: Int32?
        /// Where in the file they begin.
        public var offset: UInt64
        /// How many there are.
        public var count: Int

        /// Makes a piece.
        public init(descriptor: Int32?, offset: UInt64, count: Int) {
            self.descriptor = descriptor
            self.offset = offset
            self.count = count
        }
    }

    /// More pieces are better read and copied.
    private static let limit = 8

    private var pieces = InlineArray<8, Piece>(repeating: Piece(descriptor: nil, offset: 0, count: 0))
    private var used = 0

    /// No bytes.
    public init() {}

    /// The pieces, in order.
    public func forEach(_ body: (Piece) -> Void) {
        for index in 0..<used { body(pieces[index]) }
    }

    /// How many bytes there are.
    public var byteCount: Int {
        var sum = 0
        forEach { sum += $0.count }
        return sum
    }

    /// Adds a piece behind the others. False when there are too many.
    public mutating func append(_ piece: Piece) -> Bool {
        if used > 0, pieces[used - 1].descriptor == nil, piece.descriptor == nil {
            pieces[used - 1].count += piece.count
            return true
        }
        guard used < Self.limit else { return false }
        pieces[used] = piece
        used += 1
        return true
    }

    /// Adds all of others. False when there are too many.
    public mutating func append(_ others: HostBytes) -> Bool {
        for index in 0..<others.used where !append(others.pieces[index]) { return false }
        return true
    }
}
