internal import ByteIO
internal import Volumes

/// A file identifier descriptor: one name in a directory (ECMA-167 4/14.4).
struct FileIdentifier {
    private let characteristics: UInt8
    let address: BlockAddress
    /// The name as UTF-8.
    let name: [UInt8]

    var isDirectory: Bool { characteristics & 0x02 != 0 }
    var isDeleted: Bool { characteristics & 0x04 != 0 }
    var isParent: Bool { characteristics & 0x08 != 0 }
    /// Belongs to the file system (of stream directories).
    var isMetadata: Bool { characteristics & 0x10 != 0 }

    private static let headerSize = 38

    /// Hands out all descriptors of a directory, in their order.
    static func forEach(
        in bytes: [UInt8],
        _ body: (FileIdentifier) throws(VolumeError) -> Void
    ) throws(VolumeError) {
        var place = 0
        while place + headerSize <= bytes.count {
            let start = place
            let identifier: FileIdentifier
            do {
                identifier = try FileIdentifier(bytes, at: &place)
            } catch {
                throw VolumeError(.damaged, "the file identifier at \(start) of a directory is no sound one")
            }
            try body(identifier)
        }
        guard bytes[place...].allSatisfy({ $0 == 0 }) else {
            throw VolumeError(.damaged, "a directory ends in the middle of a file identifier")
        }
    }

    private init(_ bytes: [UInt8], at place: inout Int) throws {
        // A directory may lie anywhere, so the place in the tag is not known here.
        let location = try bytes.load(UInt32.self, at: place + 12, .little)
        let nameLength = Int(try bytes.load(UInt8.self, at: place + 19, .little))
        let useLength = Int(try bytes.load(UInt16.self, at: place + 36, .little))
        let length = Self.headerSize + useLength + nameLength
        // The checksum covers what fills it up to a multiple of four bytes, too.
        let padded = min((length + 3) / 4 * 4, bytes.count - place)
        guard length <= bytes.count - place,
            DescriptorTag(Array(bytes[place..<place + padded]), location: location)?.kind == .fileIdentifier
        else { throw OutOfBounds(offset: place, count: length) }
        characteristics = try bytes.load(UInt8.self, at: place + 18, .little)
        address = try LongAllocation(bytes, at: place + 20).address
        let start = place + Self.headerSize + useLength
        name = CompressedUnicode.decode(bytes[start..<start + nameLength])
        place += padded
    }
}

/// Text as UDF writes it (OSTA UDF 2.1.1): the first byte says how many bits a character has.
enum CompressedUnicode {
    /// The text as UTF-8.
    static func decode(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        guard let kind = bytes.first else { return [] }
        let text = bytes.dropFirst()
        switch kind {
        case 8, 254:
            if text.allSatisfy({ $0 < 0x80 }) { return Array(text) }
            return text.flatMap { $0 < 0x80 ? [$0] : [0xC0 | $0 >> 6, 0x80 | $0 & 0x3F] }
        case 16, 255:
            let units = stride(from: text.startIndex, to: text.endIndex - 1, by: 2).map {
                UInt16(text[$0]) << 8 | UInt16(text[$0 + 1])
            }
            return Array(String(decoding: units, as: UTF16.self).utf8)
        default: return Array(text)
        }
    }
}

/// The content of a symbolic link (ECMA-167 4/14.16).
enum SymbolicLinkPath {
    static func target(_ bytes: [UInt8]) throws(VolumeError) -> LinkTarget {
        var base = LinkTarget.Base.folder
        var parts: [[UInt8]] = []
        var place = 0
        while place + 4 <= bytes.count {
            let length = Int(bytes[place + 1])
            guard length <= bytes.count - place - 4 else {
                throw VolumeError(.damaged, "a component of a symbolic link is longer than the link")
            }
            switch bytes[place] {
            case 1, 2:
                base = .root
                parts = []
            case 3: parts.append(Array("..".utf8))
            case 4: parts.append(Array(".".utf8))
            case 5: parts.append(CompressedUnicode.decode(bytes[place + 4..<place + 4 + length]))
            default: throw VolumeError(.damaged, "a component of a symbolic link is of no known kind")
            }
            place += 4 + length
        }
        return LinkTarget(base: base, path: Array(parts.joined(separator: [UInt8(ascii: "/")])))
    }
}
