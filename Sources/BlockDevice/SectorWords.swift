/// The 64 words of a sector of an image's tables, in memory order, looked at where they stand. Indices wrap.
extension Span<UInt64> {
    /// A big-endian 32-bit integer; the index counts integers.
    @inlinable
    func bigEndian32(_ index: Int) -> UInt32 {
        let word = UInt64(bigEndian: self[(index & 127) / 2])
        return UInt32(truncatingIfNeeded: index & 1 == 0 ? word >> 32 : word)
    }

    /// A little-endian 64-bit integer.
    @inlinable
    func littleEndian64(_ index: Int) -> UInt64 {
        UInt64(littleEndian: self[index & 63])
    }

    /// How far the bits from `index` on are alike, the most significant bit of each byte first (VHD).
    ///
    /// - Parameters:
    ///   - index: a bit, 0 to 4095.
    ///   - limit: look at most so far; at least 1.
    /// - Returns: what the bits are, and how many there are of them, within this sector.
    @inlinable
    func runOfBits(at index: Int, limit: Int) -> (isSet: Bool, count: Int) {
        let end = Swift.min(4096, index + limit)
        var position = index & 4095
        let isSet = (bits(position / 64) << UInt64(position % 64)) >> 63 == 1
        while position < end {
            let word = bits(position / 64) << UInt64(position % 64)
            let alike = (isSet ? ~word : word).leadingZeroBitCount
            let available = 64 - position % 64
            position += Swift.min(alike, available)
            if alike < available { break }
        }
        return (isSet, Swift.min(position, end) - index)
    }

    /// The same, the least significant bit of each byte first (VHDX).
    @inlinable
    func runOfLowFirstBits(at index: Int, limit: Int) -> (isSet: Bool, count: Int) {
        let end = Swift.min(4096, index + limit)
        var position = index & 4095
        let isSet = littleEndian64(position / 64) >> UInt64(position % 64) & 1 == 1
        while position < end {
            let word = littleEndian64(position / 64) >> UInt64(position % 64)
            let available = 64 - position % 64
            let alike = Swift.min((isSet ? ~word : word).trailingZeroBitCount, available)
            position += alike
            if alike < available { break }
        }
        return (isSet, Swift.min(position, end) - index)
    }

    @inlinable
    func bits(_ slot: Int) -> UInt64 {
        UInt64(bigEndian: self[slot])
    }
}
