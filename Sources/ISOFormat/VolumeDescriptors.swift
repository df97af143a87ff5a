internal import BlockDevice
internal import ByteIO

/// The volume descriptors of an optical image, from byte 32,768 on.
struct VolumeDescriptors {
    private static let start: UInt64 = 32_768
    private static let end: UInt64 = 262_144
    private static let step = 2048

    private var hasISO9660 = false
    private var hasHighSierra = false
    private var hasBeginning = false
    private var udf: String?

    /// The size that the primary descriptor claims, in bytes.
    private(set) var claimedSize: UInt64?
    /// Volume name and creation time.
    private(set) var identifier: String?

    /// Names what was found; nil for none.
    var subtype: String? {
        var names: [String] = []
        if hasISO9660 { names.append("ISO 9660") }
        if hasHighSierra { names.append("High Sierra") }
        if let udf { names.append("UDF (\(udf))") }
        return names.isEmpty ? nil : names.joined(separator: " + ")
    }

    init(of file: any HostFile) throws(DiskError) {
        let size = try file.size()
        // 16 system sectors and one descriptor are the least (virtdisk.md §9, 4).
        guard size >= Self.start + UInt64(Self.step) else { return }
        var offset = Self.start
        var emptyOnes = 0
        while offset + UInt64(Self.step) <= min(size, Self.end), emptyOnes < 8 {
            let sector = try file.readBytes("volume descriptor", at: offset, count: Self.step)
            // Media with larger blocks space the descriptors further apart.
            emptyOnes = try note(sector, first: offset == Self.start) ? 0 : emptyOnes + 1
            offset += UInt64(Self.step)
        }
        if udf == nil, !hasISO9660, !hasHighSierra, try Self.hasAnchor(file, size) { udf = "anchor" }
    }

    /// Takes note of one sector; false when it is no descriptor.
    private mutating func note(_ sector: [UInt8], first: Bool) throws(DiskError) -> Bool {
        if first, sector[9..<14].elementsEqual("CDROM".utf8) {
            hasHighSierra = true
            return true
        }
        switch String(decoding: sector[1..<6], as: UTF8.self) {
        case "CD001":
            hasISO9660 = true
            if sector[0] == 1 { notePrimary(sector) }
        case "BEA01":
            hasBeginning = true
        case "NSR02", "NSR03":
            guard hasBeginning else { return false }
            udf = String(decoding: sector[1..<6], as: UTF8.self)
        case "TEA01", "BOOT2":
            break
        default:
            return false
        }
        return true
    }

    private mutating func notePrimary(_ sector: [UInt8]) {
        guard claimedSize == nil,
            let blocks = try? sector.load(UInt32.self, at: 80, .little),
            let blockSize = try? sector.load(UInt16.self, at: 128, .little)
        else { return }
        claimedSize = UInt64(blocks) * UInt64(blockSize)
        func text(_ range: Range<Int>) -> String {
            let kept = sector[range].prefix { $0 != 0 }.map { (0x20...0x7E).contains($0) ? $0 : UInt8(ascii: "_") }
            var text = String(decoding: kept, as: UTF8.self)
            while text.last == " " { text.removeLast() }
            return text
        }
        let (name, time) = (text(40..<72), text(813..<829))
        // All blank or zero says nothing.
        if !name.isEmpty || time.contains(where: { $0 != "0" }) { identifier = "\(name)@\(time)" }
    }

    /// A UDF anchor (tag 2) with a good tag checksum, at one of its places: some writers leave the recognition sequence out.
    private static func hasAnchor(_ file: any HostFile, _ size: UInt64) throws(DiskError) -> Bool {
        for sectorSize in [2048, 512, 4096] as [UInt64] {
            let last = size / sectorSize
            for sector in [256, last &- 1, last &- 257] where sector < last {
                let tag = try file.readBytes("anchor", at: sector * sectorSize, count: 16)
                var sum: UInt8 = 0
                for (i, byte) in tag.enumerated() where i != 4 { sum &+= byte }
                let place = try? tag.load(UInt32.self, at: 12, .little)
                if tag[0] == 2, tag[1] == 0, tag[4] == sum, place.map(UInt64.init) == sector { return true }
            }
        }
        return false
    }
}
