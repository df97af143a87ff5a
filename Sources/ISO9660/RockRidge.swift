internal import ByteIO
internal import FileSystem
internal import Volumes

/// What the system use fields of a record say (SUSP 1.12, RRIP 1.12).
struct RockRidge {
    /// The name, if a field gives one.
    var name: [UInt8]?
    var mode: UInt32?
    var links: UInt32 = 1
    var owner: UInt32 = 0
    var group: UInt32 = 0
    /// The serial number of the file: equal for hard links.
    var serial: UInt32?
    var modified: Timestamp?
    var accessed: Timestamp?
    var changed: Timestamp?
    /// The target of a symbolic link.
    var target: [UInt8]?
    var device: DeviceNumber?
    /// The block of a directory that was moved away from here.
    var childBlock: UInt32?
    /// The block of the real parent of a directory that was moved.
    var parentBlock: UInt32?
    /// This record is where a directory was moved to.
    var isRelocated = false
    /// The size of a file that is stored compressed (zisofs) or sparse.
    var packedSize: UInt64?
    /// How it is stored, if not plainly.
    var packing: String?
    /// Any field of Rock Ridge was there.
    var isPresent = false

    /// A further area of fields.
    struct Continuation: Hashable {
        var block: UInt32
        var offset: UInt32
        var count: UInt32
    }

    /// More areas than that are taken for a loop.
    static let continuationLimit = 64
    /// A continuation area lies in one sector.
    static let continuationSize = 2048

    /// Whether all that goes on in a further field has found it.
    var isComplete: Bool { !nameIsOpen && !linkIsOpen }

    private var nameIsOpen = false
    private var linkIsOpen = false
    /// The last component of the link goes on in the next field.
    private var componentIsOpen = false

    init() {}

    /// Reads the fields of one area; returns where they go on.
    mutating func read(_ buffer: [UInt8], _ area: Range<Int>) throws(OutOfBounds) -> Continuation? {
        var next: Continuation?
        var place = area.lowerBound
        while place + 4 <= area.upperBound {
            let length = Int(buffer[place + 2])
            // Zeros fill an area up; anything else that is no field is damage: the fields behind it may be what says how the file is stored.
            if length == 0, buffer[place..<area.upperBound].allSatisfy({ $0 == 0 }) { break }
            guard length >= 4, place + length <= area.upperBound else {
                throw OutOfBounds(offset: place, count: length)
            }
            let kind = Kind(rawValue: UInt16(buffer[place]) << 8 | UInt16(buffer[place + 1]))
            let field = Field(buffer: buffer, start: place, length: length)
            switch kind {
            case .ce:
                next = Continuation(
                    block: try field.integer(4),
                    offset: try field.integer(12),
                    count: try field.integer(20)
                )
            case .st: return next
            case let kind?: try take(kind, field)
            case nil: break
            }
            place += length
        }
        return next
    }

    /// The fields that are looked at, by the two letters that they begin with.
    private enum Kind: UInt16 {
        case ce = 0x4345
        case cl = 0x434C
        case nm = 0x4E4D
        case pl = 0x504C
        case pn = 0x504E
        case px = 0x5058
        case re = 0x5245
        case sf = 0x5346
        case sl = 0x534C
        case st = 0x5354
        case tf = 0x5446
        case zf = 0x5A46
    }

    private struct Field {
        let buffer: [UInt8]
        let start: Int
        let length: Int

        /// An integer of 32 bits, in the first of its two byte orders.
        func integer(_ offset: Int) throws(OutOfBounds) -> UInt32 {
            guard offset + 4 <= length else { throw OutOfBounds(offset: offset, count: 4) }
            return try buffer.load(UInt32.self, at: start + offset, .little)
        }

        func byte(_ offset: Int) -> UInt8 { offset < length ? buffer[start + offset] : 0 }

        func bytes(from offset: Int) -> ArraySlice<UInt8> {
            buffer[min(start + offset, start + length)..<start + length]
        }
    }

    private mutating func take(_ kind: Kind, _ field: Field) throws(OutOfBounds) {
        switch kind {
        case .nm: takeName(field)
        case .px:
            mode = try field.integer(4)
            links = try field.integer(12)
            owner = try field.integer(20)
            group = try field.integer(28)
            serial = field.length >= 44 ? try field.integer(36) : nil
        case .pn:
            let (high, low) = (try field.integer(4), try field.integer(12))
            device =
                high == 0
                ? DeviceNumber(major: low >> 8 & 0xFFF, minor: low & 0xFF | low >> 12 & 0xFFF00)
                : DeviceNumber(major: high, minor: low)
        case .tf: takeTimes(field)
        case .sl: takeLink(field)
        case .cl: childBlock = try field.integer(4)
        case .pl: parentBlock = try field.integer(4)
        case .re: isRelocated = true
        case .zf:
            packing = "compressed (zisofs)"
            packedSize = UInt64(try field.integer(8))
        case .sf:
            packing = "sparse (SF)"
            packedSize = UInt64(try field.integer(12)) | UInt64(try field.integer(4)) << 32
        case .ce, .st: return
        }
        isPresent = true
    }

    private mutating func takeName(_ field: Field) {
        // `.` and `..` have no name of their own.
        guard field.byte(4) & 0x06 == 0 else { return }
        name = (nameIsOpen ? name ?? [] : []) + field.bytes(from: 5)
        nameIsOpen = field.byte(4) & 1 != 0
    }

    private mutating func takeTimes(_ field: Field) {
        let flags = field.byte(4)
        let isLong = flags & 0x80 != 0
        let size = isLong ? 17 : 7
        var offset = 5
        for bit in 0..<7 where flags & 1 << bit != 0 {
            guard offset + size <= field.length else { return }
            let place = field.start + offset
            let time = isLong ? ISOTime.long(field.buffer, at: place) : ISOTime.short(field.buffer, at: place)
            switch bit {
            case 1: modified = time
            case 2: accessed = time
            case 3: changed = time
            default: break
            }
            offset += size
        }
    }

    /// Components of a target: their flags say what they are, and whether they go on.
    private mutating func takeLink(_ field: Field) {
        var path = linkIsOpen ? target ?? [] : []
        linkIsOpen = field.byte(4) & 1 != 0
        let slash = UInt8(ascii: "/")
        var place = 5
        while place + 2 <= field.length {
            let flags = field.byte(place)
            let count = Int(field.byte(place + 1))
            if !componentIsOpen, !path.isEmpty, path.last != slash || path.count > 1 { path.append(slash) }
            switch flags & 0x0E {
            case 0x02: path.append(UInt8(ascii: "."))
            case 0x04: path += Array("..".utf8)
            case 0x08: path = [slash]
            default: path += field.bytes(from: place + 2).prefix(count)
            }
            componentIsOpen = flags & 1 != 0
            place += 2 + count
        }
        target = path
    }
}
