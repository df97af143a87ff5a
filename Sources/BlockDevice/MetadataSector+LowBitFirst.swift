/// Bitmaps whose bytes begin with the least significant bit (VHDX).
extension MetadataSector {
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
