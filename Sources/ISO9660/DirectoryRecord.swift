internal import ByteIO
internal import FileSystem
internal import Volumes

/// One record of a directory (ECMA-119 9.1), in a buffer that holds its sector.
struct DirectoryRecord {
    /// Where it begins in the buffer.
    let start: Int
    /// Its length in bytes.
    let length: Int
    /// The first block of the content, behind the extended attribute record.
    let block: UInt32
    /// Bytes of content.
    let dataLength: UInt32
    let flags: UInt8
    /// Blocks of a file unit and of the gap behind it; 0 where the content is in one piece.
    let isInterleaved: Bool
    /// Where the name is in the buffer.
    let name: Range<Int>
    /// Where the system use area is.
    let systemUse: Range<Int>

    var isDirectory: Bool { flags & 0x02 != 0 }
    /// Belongs to another file (a resource fork).
    var isAssociated: Bool { flags & 0x04 != 0 }
    /// The next record goes on with the same file.
    var continues: Bool { flags & 0x80 != 0 }

    static let minimumLength = 34

    /// Reads the record at a place; nil where the sector has no more. Throws when it does not fit into its sector.
    init?(_ buffer: [UInt8], at start: Int, sectorEnd: Int) throws(OutOfBounds) {
        let length = Int(try buffer.load(UInt8.self, at: start, .little))
        if length == 0 { return nil }
        let nameLength = Int(try buffer.load(UInt8.self, at: start + 32, .little))
        let name = start + 33..<start + 33 + nameLength
        // A name of even length has a byte behind it, so that the next field begins at an even place.
        let systemUse = name.upperBound + (nameLength % 2 == 0 ? 1 : 0)
        guard length >= Self.minimumLength, start + length <= min(sectorEnd, buffer.count),
            name.upperBound <= start + length
        else { throw Self.outside(start, length) }
        self.start = start
        self.length = length
        let extended = UInt32(try buffer.load(UInt8.self, at: start + 1, .little))
        let first = try buffer.load(UInt32.self, at: start + 2, .little)
        let (block, overflow) = first.addingReportingOverflow(extended)
        guard !overflow else { throw Self.outside(start, length) }
        self.block = block
        dataLength = try buffer.load(UInt32.self, at: start + 10, .little)
        flags = try buffer.load(UInt8.self, at: start + 25, .little)
        isInterleaved = try buffer.load(UInt16.self, at: start + 26, .little) != 0
        self.name = name
        self.systemUse = min(systemUse, start + length)..<start + length
    }

    private static func outside(_ start: Int, _ length: Int) -> OutOfBounds {
        OutOfBounds(offset: start, count: length)
    }

    /// Whether it is the entry of the directory itself (0) or of its parent (1).
    func isSpecial(_ which: UInt8, in buffer: [UInt8]) -> Bool {
        name.count == 1 && buffer[name.lowerBound] == which
    }

    /// The time of the record (9.1.5).
    func time(in buffer: [UInt8]) -> Timestamp {
        ISOTime.short(buffer, at: start + 18) ?? .unknown
    }
}

/// The two forms of time of ISO 9660.
enum ISOTime {
    /// Seven bytes (ECMA-119 9.1.5).
    static func short(_ bytes: [UInt8], at offset: Int) -> Timestamp? {
        guard let part = try? bytes.bytes(at: offset, count: 7) else { return nil }
        return Timestamp(
            year: 1900 + Int(part[0]),
            month: Int(part[1]),
            day: Int(part[2]),
            hour: Int(part[3]),
            minute: Int(part[4]),
            second: Int(part[5]),
            minutesEast: 15 * Int(Int8(bitPattern: part[6]))
        )
    }

    /// Sixteen digits and the zone (ECMA-119 8.4.26.1).
    static func long(_ bytes: [UInt8], at offset: Int) -> Timestamp? {
        guard let part = try? bytes.bytes(at: offset, count: 17) else { return nil }
        func number(_ range: Range<Int>) -> Int {
            part[range].reduce(0) { (48...57).contains($1) ? $0 * 10 + Int($1) - 48 : $0 }
        }
        return Timestamp(
            year: number(0..<4),
            month: number(4..<6),
            day: number(6..<8),
            hour: number(8..<10),
            minute: number(10..<12),
            second: number(12..<14),
            nanoseconds: Int64(number(14..<16)) * 10_000_000,
            minutesEast: 15 * Int(Int8(bitPattern: part[16]))
        )
    }
}
