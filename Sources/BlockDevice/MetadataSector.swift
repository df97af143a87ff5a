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
        get {
            let word = UInt64(bigEndian: words[(index & 127) / 2])
            return UInt32(truncatingIfNeeded: index & 1 == 0 ? word >> 32 : word)
        }
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
        get { UInt64(littleEndian: words[index & 63]) }
        set { words[index & 63] = newValue.littleEndian }
    }

    /// How far the bits from `index` on are alike, the most significant bit of each byte first.
    ///
    /// - Parameters:
    ///   - index: a bit, 0 to 4095.
    ///   - limit: look at most so far; at least 1.
    /// - Returns: what the bits are, and how many there are of them, within this sector.
    @inlinable
    public func runOfBits(at index: Int, limit: Int) -> (isSet: Bool, count: Int) {
        let end = min(4096, index + limit)
        var position = index & 4095
        let first = bits(position / 64) << UInt64(position % 64)
        let isSet = first >> 63 == 1
        while position < end {
            let word = bits(position / 64) << UInt64(position % 64)
            let alike = (isSet ? ~word : word).leadingZeroBitCount
            let available = 64 - position % 64
            position += min(alike, available)
            if alike < available { break }
        }
        return (isSet, min(position, end) - index)
    }

    /// Sets a range of bits, the most significant bit of each byte first.
    public mutating func setBits(_ range: Range<Int>) {
        for slot in range.lowerBound / 64..<(range.upperBound + 63) / 64 {
            let from = max(range.lowerBound - slot * 64, 0)
            let to = min(range.upperBound - slot * 64, 64)
            let mask = (UInt64.max >> UInt64(from)) & (to == 64 ? .max : ~(UInt64.max >> UInt64(to)))
            words[slot] = (bits(slot) | mask).bigEndian
        }
    }

    @inlinable
    func bits(_ slot: Int) -> UInt64 {
        UInt64(bigEndian: words[slot])
    }
}
