internal import ByteIO

/// 512 bytes of an image's tables, as they stand in the file.
public struct MetadataSector: Sendable {
    /// Size in bytes.
    public static let byteCount = 512

    /// The bytes as 64 words in memory order.
    @usableFromInline
    var words: InlineArray<64, UInt64>

    /// A sector of one repeated byte.
    public init(repeating byte: UInt8 = 0) {
        words = InlineArray(repeating: UInt64(byte) &* 0x0101_0101_0101_0101)
    }

    /// Takes the 64 words from `start` on.
    init(_ words: [UInt64], from start: Int) {
        self.words = InlineArray { words[start + $0] }
    }

    /// Takes 512 bytes; missing ones are zero.
    public init(_ bytes: ArraySlice<UInt8>) {
        self.init()
        withMutableBytes { span in
            Array(bytes.prefix(Self.byteCount)).withBytes { span.copy($0, to: 0) }
        }
    }

    /// Puts the bytes into an array that has room for them from `offset` on.
    public func store(into array: inout [UInt8], at offset: Int) {
        withBytes { source in
            array.withMutableBytes { $0.copy(source, to: offset) }
        }
    }

    /// Lends the bytes for writing.
    mutating func withMutableBytes<R, E: Error>(_ body: (inout MutableRawSpan) throws(E) -> R) throws(E) -> R {
        var span = words.mutableSpan
        var bytes = unsafe span.mutableBytes
        return try body(&bytes)
    }

    /// Lends the bytes for reading.
    func withBytes<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
        let span = words.span
        let bytes = unsafe span.bytes
        return try body(bytes)
    }

    /// The big-endian 32-bit integers of the sector. The index counts integers and wraps at 128.
    @inlinable
    public subscript(bigEndian32 index: Int) -> UInt32 {
        get { words.span.bigEndian32(index) }
        set {
            let slot = (index & 127) / 2
            let word = UInt64(bigEndian: words[slot])
            let changed =
                index & 1 == 0
                ? word & 0xFFFF_FFFF | UInt64(newValue) << 32
                : word & 0xFFFF_FFFF_0000_0000 | UInt64(newValue)
            words[slot] = changed.bigEndian
        }
    }

    /// The little-endian 64-bit integers of the sector. The index wraps at 64.
    @inlinable
    public subscript(littleEndian64 index: Int) -> UInt64 {
        get { words.span.littleEndian64(index) }
        set { words[index & 63] = newValue.littleEndian }
    }

    /// Sets a range of bits, the most significant bit of each byte first.
    public mutating func setBits(_ range: Range<Int>) {
        for slot in range.lowerBound / 64..<(range.upperBound + 63) / 64 {
            let from = max(range.lowerBound - slot * 64, 0)
            let to = min(range.upperBound - slot * 64, 64)
            let mask = (UInt64.max >> UInt64(from)) & (to == 64 ? .max : ~(UInt64.max >> UInt64(to)))
            words[slot] = (UInt64(bigEndian: words[slot]) | mask).bigEndian
        }
    }
}
