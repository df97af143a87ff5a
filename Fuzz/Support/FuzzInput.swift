internal import ByteIO
public import TestSupport

/// What a fuzzer mutates: a few bytes that describe a large, sparse file. Every row of bytes is a description.
///
/// One byte of options, the file's length (6 bytes), then pieces: offset (6 bytes), length (2 bytes), and so many bytes to put there.
/// With the upper bit of the length set the bytes are repeated: as often as the next 2 bytes say. All integers are little-endian.
public struct FuzzInput: Sendable {
    /// What is to be mended and done; each target has its own meanings.
    public var options: UInt8
    /// The file.
    public var content: SparseBytes

    /// Repeated pieces give no more bytes than that: a small input must not cost much.
    private static let fillLimit = 1 << 20
    private static let sizeLimit: UInt64 = 1 << 44

    /// Reads a description.
    public init(_ bytes: [UInt8]) {
        var reader = Reader(bytes: bytes)
        options = UInt8(truncatingIfNeeded: reader.integer(1) ?? 0)
        let size = min(reader.integer(6) ?? 0, Self.sizeLimit)
        content = SparseBytes()
        var filled = 0
        while let offset = reader.integer(6), let length = reader.integer(2), offset < size {
            var piece: [UInt8]
            if length & 0x8000 != 0 {
                let times = reader.integer(2) ?? 0
                let part = reader.bytes(Int(length & 0x7FFF))
                guard filled + part.count * Int(times) <= Self.fillLimit else { break }
                filled += part.count * Int(times)
                piece = []
                piece.reserveCapacity(part.count * Int(times))
                for _ in 0..<(part.isEmpty ? 0 : times) { piece += part }
            } else {
                piece = reader.bytes(Int(length))
            }
            if UInt64(piece.count) > size - offset { piece.removeLast(piece.count - Int(size - offset)) }
            content.store(piece, at: offset)
        }
        content.resize(to: size)
    }

    /// Describes a file.
    public init(_ content: SparseBytes, options: UInt8) {
        self.content = content
        self.options = options
    }

    /// The description.
    public var bytes: [UInt8] {
        var bytes = [options] + Self.little(content.count, 6)
        content.forEachStoredPage { offset, page in
            for range in Self.pieces(page) {
                bytes += Self.little(offset + UInt64(range.lowerBound), 6)
                let piece = Array(page[range])
                if let first = piece.first, piece.count > 16, piece.allSatisfy({ $0 == first }) {
                    bytes += Self.little(0x8001, 2) + Self.little(UInt64(piece.count), 2) + [first]
                } else {
                    bytes += Self.little(UInt64(piece.count), 2) + piece
                }
            }
        }
        return bytes
    }

    /// The parts of a page between longer runs of equal bytes, and those runs that are not zeros.
    private static func pieces(_ page: [UInt8]) -> [Range<Int>] {
        var pieces: [Range<Int>] = []
        var start = 0
        var position = 0
        while position < page.count {
            var end = position + 1
            while end < page.count, page[end] == page[position] { end += 1 }
            if end - position > 16 {
                if start < position { pieces.append(start..<position) }
                if page[position] != 0 { pieces.append(position..<end) }
                start = end
            }
            position = end
        }
        if start < page.count { pieces.append(start..<page.count) }
        return pieces
    }

    private static func little(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    }
}

private struct Reader {
    var bytes: [UInt8]
    private var position = 0

    init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// The next integer; nil at the end.
    mutating func integer(_ count: Int) -> UInt64? {
        guard bytes.count - position >= count else { return nil }
        let value = bytes[position..<position + count].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        position += count
        return value
    }

    /// The next bytes; fewer at the end.
    mutating func bytes(_ count: Int) -> [UInt8] {
        let end = min(bytes.count, position + count)
        defer { position = end }
        return Array(bytes[position..<end])
    }
}
