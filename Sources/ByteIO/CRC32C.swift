/// CRC-32C (Castagnoli), the checksum of every VHDX structure (formats.md §3).
public struct CRC32C: Sendable {
    private var state: UInt32 = .max

    /// The checksum of no bytes.
    public init() {}

    /// The checksum of all bytes so far.
    public var value: UInt32 { ~state }

    /// Adds bytes.
    public mutating func update(_ bytes: RawSpan) {
        var crc = state
        var position = 0
        let tables = Self.tables.span
        while position + 8 <= bytes.byteCount {
            let word = UInt64(littleEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self))
            let mixed = word ^ UInt64(crc)
            crc = 0
            for i in 0..<8 {
                crc ^= tables[(7 - i) * 256 + Int(mixed >> UInt64(8 * i) & 0xFF)]
            }
            position += 8
        }
        while position < bytes.byteCount {
            let byte = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt8.self)
            crc = tables[Int((crc ^ UInt32(byte)) & 0xFF)] ^ crc >> 8
            position += 1
        }
        state = crc
    }

    /// Adds bytes.
    public mutating func update(_ bytes: [UInt8]) {
        bytes.withBytes { update($0) }
    }

    /// Eight tables: table `n` moves a byte over `n` further bytes, so that eight bytes take one step.
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for byte in 0..<256 {
            var crc = UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
            tables[byte] = crc
        }
        for index in 256..<8 * 256 {
            let before = tables[index - 256]
            tables[index] = tables[Int(before & 0xFF)] ^ before >> 8
        }
        return tables
    }()
}

extension Array<UInt8> {
    /// The CRC-32C of a structure that holds its own checksum: the four bytes at `offset` count as zero. The caller has made sure that
    /// they are there.
    public func crc32c(checksumAt offset: Int) -> UInt32 {
        withBytes { bytes in
            var crc = CRC32C()
            crc.update(bytes.extracting(0..<offset))
            crc.update([0, 0, 0, 0])
            crc.update(bytes.extracting(offset + 4..<bytes.byteCount))
            return crc.value
        }
    }
}
