/// Bitmaps whose bytes begin with the least significant bit (VHDX).
extension MetadataSector {
    /// How far the bits from `index` on are alike, the least significant bit of each byte first.
    ///
    /// - Parameters:
    ///   - index: a bit, 0 to 4095.
    ///   - limit: look at most so far; at least 1.
    /// - Returns: what the bits are, and how many there are of them, within this sector.
    @inlinable
    public func runOfLowFirstBits(at index: Int, limit: Int) -> (isSet: Bool, count: Int) {
        let end = min(4096, index + limit)
        var position = index & 4095
        let isSet = self[littleEndian64: position / 64] >> UInt64(position % 64) & 1 == 1
        while position < end {
            let word = self[littleEndian64: position / 64] >> UInt64(position % 64)
            let available = 64 - position % 64
            let alike = min((isSet ? ~word : word).trailingZeroBitCount, available)
            position += alike
            if alike < available { break }
        }
        return (isSet, min(position, end) - index)
    }

    /// Sets or clears a range of bits, the least significant bit of each byte first.
    public mutating func setLowFirstBits(_ range: Range<Int>, to isSet: Bool) {
        for slot in range.lowerBound / 64..<(range.upperBound + 63) / 64 {
            let from = max(range.lowerBound - slot * 64, 0)
            let to = min(range.upperBound - slot * 64, 64)
            let mask = UInt64.max << UInt64(from) & UInt64.max >> UInt64(64 - to)
            self[littleEndian64: slot] = isSet ? self[littleEndian64: slot] | mask : self[littleEndian64: slot] & ~mask
        }
    }
}
