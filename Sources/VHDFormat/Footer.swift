public import ByteIO

/// The 512-byte footer at the end of a VHD, of which dynamic and differencing disks keep a copy at offset 0 (formats.md §2.1).
public struct Footer: Sendable {
    /// Size in bytes.
    public static let byteCount = 512
    static let cookie = Array("conectix".utf8)
    static let poisonCookie = Array("v_poison".utf8)

    /// What kind of disk the file holds.
    public enum DiskType: UInt32, Sendable {
        case fixed = 2
        case dynamic = 3
        case differencing = 4
    }

    /// The footer as it stands in the file; what we do not understand is kept when it is written again.
    let bytes: [UInt8]

    /// Major version in the upper 16 bits; 1 is the only one there is.
    public let formatVersion: UInt32
    /// Where the dynamic header is.
    public let dataOffset: UInt64
    /// Creation time: seconds since 2000-01-01 00:00:00 UTC.
    public let timestamp: UInt32
    /// The program that made the file: four characters.
    public let creatorApplication: String
    /// That program's version: major in the upper 16 bits.
    public let creatorVersion: UInt32
    /// Size in bytes at creation.
    public let originalSize: UInt64
    /// Size in bytes now: the one to show.
    public let currentSize: UInt64
    /// What kind of disk it is.
    public let diskType: DiskType
    /// The identity that children record.
    public let uniqueID: GUID
    /// Whether a suspended virtual machine depends on this disk.
    public let savedState: Bool
}

extension Footer {
    /// What 512 bytes turned out to be.
    enum Reading {
        /// No cookie: not a footer.
        case absent
        /// The image was killed by Xen's tools.
        case poisoned
        /// A cookie, but the checksum is wrong.
        case damaged(found: UInt32, expected: UInt32)
        /// A footer with a good checksum and a type that does not exist.
        case unknownType(UInt32)
        /// A good footer.
        case good(Footer)
    }

    static func read(_ bytes: [UInt8]) throws(OutOfBounds) -> Reading {
        let start = try bytes.bytes(at: 0, count: 8)
        if start == poisonCookie { return .poisoned }
        guard start == cookie else { return .absent }
        let stored: UInt32 = try bytes.load(at: 64, .big)
        let expected = vhdChecksum(of: bytes, field: 64)
        let accepted = [expected, try xenChecksum(of: bytes)]
        guard accepted.contains(stored) else {
            return .damaged(found: stored, expected: expected)
        }
        let type: UInt32 = try bytes.load(at: 60, .big)
        guard let diskType = DiskType(rawValue: type) else { return .unknownType(type) }
        return .good(try Footer(bytes, diskType: diskType))
    }

    private init(_ bytes: [UInt8], diskType: DiskType) throws(OutOfBounds) {
        self.bytes = bytes
        self.diskType = diskType
        formatVersion = try bytes.load(at: 12, .big)
        dataOffset = try bytes.load(at: 16, .big)
        timestamp = try bytes.load(at: 24, .big)
        creatorApplication = String(decoding: try bytes.bytes(at: 28, count: 4), as: UTF8.self)
        creatorVersion = try bytes.load(at: 32, .big)
        originalSize = try bytes.load(at: 40, .big)
        currentSize = try bytes.load(at: 48, .big)
        uniqueID = GUID(bytes: try bytes.bytes(at: 68, count: 16)) ?? .zero
        savedState = try bytes.load(UInt8.self, at: 84, .big) == 1
    }

    /// Xen set byte 85 ("hidden") after it had computed the checksum.
    private static func xenChecksum(of bytes: [UInt8]) throws(OutOfBounds) -> UInt32? {
        let version: UInt32 = try bytes.load(at: 32, .big)
        guard try bytes.bytes(at: 28, count: 3) == Array("tap".utf8), [0x0000_0001, 0x0001_0001].contains(version)
        else {
            return nil
        }
        var visible = bytes
        visible.store(UInt8(0), at: 85, .big)
        return vhdChecksum(of: visible, field: 64)
    }
}
