/// A payload is not what it should be.
public struct Malformed: Error {
    /// Says so.
    public init() {}
}

/// Writes the fields of a payload, one after the other.
public struct PayloadWriter {
    /// What has been written.
    public private(set) var bytes: [UInt8] = []

    /// Begins an empty payload.
    public init() {}

    /// Adds an integer.
    public mutating func add<T: FixedWidthInteger>(_ value: T) {
        for index in 0..<MemoryLayout<T>.size { bytes.append(UInt8(truncatingIfNeeded: value >> T(8 * index))) }
    }

    /// Adds a text with its length before it.
    public mutating func add(text: some Collection<UInt8>) {
        let text = text.prefix(Int(UInt16.max))
        add(UInt16(text.count))
        bytes.append(contentsOf: text)
    }

    /// Adds bytes up to the end of the payload.
    public mutating func add(rest: some Collection<UInt8>) {
        bytes.append(contentsOf: rest)
    }
}

/// Reads the fields of a payload; never past its end.
public struct PayloadReader {
    private let bytes: [UInt8]
    private var position = 0

    /// Begins at the first field.
    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Whether everything has been read.
    public var isAtEnd: Bool { position == bytes.count }

    /// The next integer.
    public mutating func integer<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(Malformed) -> T {
        let count = MemoryLayout<T>.size
        guard bytes.count - position >= count else { throw Malformed() }
        var value: T = 0
        for index in (0..<count).reversed() { value = value << 8 | T(truncatingIfNeeded: bytes[position + index]) }
        position += count
        return value
    }

    /// The next text.
    public mutating func text() throws(Malformed) -> ArraySlice<UInt8> {
        let count = Int(try integer(UInt16.self))
        guard bytes.count - position >= count else { throw Malformed() }
        defer { position += count }
        return bytes[position..<position + count]
    }

    /// All that is left.
    public mutating func rest() -> ArraySlice<UInt8> {
        defer { position = bytes.count }
        return bytes[position...]
    }
}
