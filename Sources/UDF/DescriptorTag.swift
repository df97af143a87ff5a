internal import ByteIO
internal import Volumes

/// What every descriptor begins with (ECMA-167 3/7.2).
struct DescriptorTag {
    /// What the descriptor is.
    enum Kind: UInt16 {
        case primaryVolume = 1
        case anchor = 2
        case volumeDescriptorPointer = 3
        case partition = 5
        case logicalVolume = 6
        case terminating = 8
        case fileSet = 256
        case fileIdentifier = 257
        case allocationExtent = 258
        case fileEntry = 261
        case extendedFileEntry = 266
    }

    static let size = 16

    let kind: Kind

    /// Reads and checks the tag of a descriptor; nil if there is no sound one of a known kind.
    ///
    /// - Parameter location: the block that it must name as its place.
    init?(_ bytes: [UInt8], at start: Int = 0, location: UInt32) {
        guard start >= 0, bytes.count - start >= Self.size,
            let number = try? bytes.load(UInt16.self, at: start, .little), let kind = Kind(rawValue: number),
            let checksum = try? bytes.load(UInt8.self, at: start + 4, .little),
            let crc = try? bytes.load(UInt16.self, at: start + 8, .little),
            let length = try? bytes.load(UInt16.self, at: start + 10, .little),
            let place = try? bytes.load(UInt32.self, at: start + 12, .little), place == location
        else { return nil }
        var sum: UInt8 = 0
        for index in 0..<Self.size where index != 4 { sum &+= bytes[start + index] }
        guard sum == checksum, Int(length) <= bytes.count - start - Self.size,
            crc16(bytes[start + Self.size..<start + Self.size + Int(length)]) == crc
        else { return nil }
        self.kind = kind
    }
}

/// CRC-16 with the polynomial of ITU-T V.41 (ECMA-167 3/7.2.6).
private func crc16(_ bytes: ArraySlice<UInt8>) -> UInt16 {
    var crc: UInt16 = 0
    for byte in bytes { crc = crc16Table[Int(UInt8(truncatingIfNeeded: crc >> 8) ^ byte)] ^ crc << 8 }
    return crc
}

private let crc16Table: [UInt16] = (0..<256).map { index in
    (0..<8).reduce(UInt16(index) << 8) { crc, _ in crc & 0x8000 != 0 ? crc << 1 ^ 0x1021 : crc << 1 }
}
