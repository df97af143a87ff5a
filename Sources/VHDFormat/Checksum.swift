/// The checksum of footer and dynamic header (formats.md §2.2): the complement of the sum of all bytes, the field itself as zero.
///
/// - Parameters:
///   - bytes: the whole structure.
///   - field: where its 4-byte checksum stands.
func vhdChecksum(of bytes: [UInt8], field: Int) -> UInt32 {
    var sum: UInt32 = 0
    for (i, byte) in bytes.enumerated() where i < field || i >= field + 4 {
        sum &+= UInt32(byte)
    }
    return ~sum
}
