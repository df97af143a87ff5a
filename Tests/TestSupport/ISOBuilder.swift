internal import ByteIO

/// Makes small disc images that are recognised by their descriptors (`formats.md` §5.1), and some that nearly are.
public struct ISOBuilder: Sendable {
    /// The file.
    public private(set) var content: SparseBytes
    private let spacing: UInt64

    /// Starts with an empty disc.
    ///
    /// - Parameters:
    ///   - size: the length of the file.
    ///   - spacing: how far apart descriptors are: 2048, or 4096 on media with such blocks.
    ///   - filler: what stands where nothing is described; zero leaves holes.
    public init(size: UInt64 = 40 * 2048, spacing: UInt64 = 2048, filler: UInt8 = 0) {
        content = SparseBytes(count: size)
        self.spacing = spacing
        if filler != 0 { content.store([UInt8](repeating: filler, count: Int(size)), at: 0) }
    }

    /// Puts a descriptor into the sequence that begins at 32 KiB.
    ///
    /// - Parameters:
    ///   - identifier: five characters, `CD001`.
    ///   - type: the byte before it.
    ///   - slot: its place in the sequence.
    public mutating func descriptor(_ identifier: String, type: UInt8 = 0, slot: UInt64) {
        let offset = 32768 + slot * spacing
        content.store([type] + Array(identifier.utf8) + [1], at: offset)
    }

    /// Puts bytes anywhere.
    public mutating func put(_ bytes: [UInt8], at offset: UInt64) {
        content.store(bytes, at: offset)
    }

    /// An ISO 9660 disc with a primary descriptor that claims `claimedSectors` sectors.
    public static func iso9660(size: UInt64 = 40 * 2048, claimedSectors: UInt32? = nil, filler: UInt8 = 0) -> ISOBuilder
    {
        var builder = ISOBuilder(size: size, filler: filler)
        builder.descriptor("CD001", type: 1, slot: 0)
        let sectors = claimedSectors ?? UInt32(size / 2048)
        builder.put(bigEndian(sectors).reversed() + bigEndian(sectors), at: 32768 + 80)
        builder.put([0, 8, 8, 0], at: 32768 + 128)
        builder.descriptor("CD001", type: 255, slot: 1)
        return builder
    }

    /// A disc with UDF only.
    ///
    /// - Parameter firstSlot: how many empty places come before the sequence.
    public static func udf(
        spacing: UInt64 = 2048,
        version: String = "NSR02",
        firstSlot: UInt64 = 0,
        size: UInt64 = 300 * 2048
    ) -> ISOBuilder {
        var builder = ISOBuilder(size: size, spacing: spacing)
        for (index, identifier) in ["BEA01", version, "TEA01"].enumerated() {
            builder.descriptor(identifier, slot: firstSlot + UInt64(index))
        }
        // The anchor: tag 2 at sector 256, with its checksum in byte 4 and its own place at 12.
        var tag: [UInt8] = [2, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]
        tag[4] = tag.reduce(0, &+)
        builder.put(tag, at: 256 * 2048)
        return builder
    }

    /// A disc of the format before ISO 9660: `CDROM` at byte 9 of the descriptor.
    public static func highSierra() -> ISOBuilder {
        var builder = ISOBuilder()
        builder.put([1] + Array("CDROM".utf8) + [1], at: 32768 + 8)
        return builder
    }

    /// A copy of raw 2352-byte sectors: not an ISO, though `CD001` is in it.
    public static func rawSectors() -> ISOBuilder {
        var builder = ISOBuilder(size: 40 * 2352)
        for sector in 0..<40 as Range<UInt64> {
            let sync = [0] + [UInt8](repeating: 0xFF, count: 10) + [0, 0, 2, UInt8(sector), 1]
            builder.put(sync, at: sector * 2352)
        }
        builder.put([1] + Array("CD001".utf8) + [1], at: 16 * 2352 + 16)
        return builder
    }
}
