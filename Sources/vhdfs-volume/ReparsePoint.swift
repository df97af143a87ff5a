import ByteIO
import FileSystem
import Volumes

/// A reparse point of NTFS: what a file or folder really is ([MS-FSCC] 2.1.2).
struct ReparsePoint {
    /// What kind of reparse point it is.
    let tag: UInt32
    /// Where it leads, if it is a link.
    let target: LinkTarget?

    init(_ bytes: [UInt8]) throws {
        tag = try bytes.load(UInt32.self, at: 0, .little)
        switch tag {
        case Self.symbolicLink:
            let isRelative = try bytes.load(UInt32.self, at: 16, .little) & 1 != 0
            target = Self.target(try Self.name(bytes, names: 20), isRelative: isRelative)
        case Self.mountPoint:
            target = Self.target(try Self.name(bytes, names: 16), isRelative: false)
        case Self.linuxLink:
            let length = Int(try bytes.load(UInt16.self, at: 4, .little))
            guard length >= 4 else { throw OutOfRange() }
            target = LinkTarget(posix: try bytes.bytes(at: 12, count: length - 4))
        default: target = nil
        }
    }

    private struct OutOfRange: Error {}

    static let mountPoint: UInt32 = 0xA000_0003
    static let symbolicLink: UInt32 = 0xA000_000C
    static let linuxLink: UInt32 = 0xA000_001D

    /// What the object is for Linux; nil if it is what it would be without the reparse point.
    var kind: NodeKind? {
        if target != nil { return .symbolicLink }
        switch tag {
        case 0x8000_0023: return .socket
        case 0x8000_0024: return .fifo
        case 0x8000_0025: return .characterDevice
        case 0x8000_0026: return .blockDevice
        default: return nil
        }
    }

    /// Whether the file's own data is what Windows would show: marks that only tell more about a file.
    var leavesContent: Bool {
        // Sockets and application links have no content; storage-sync and OneDrive marks of files that are there are not told from others.
        tag == 0x8000_001B
    }

    /// The tag's name.
    var name: String {
        switch tag {
        case 0x8000_0017: "WOF (compressed by Windows, as with compact.exe)"
        case 0x8000_0013: "deduplicated"
        case 0x9000_0000...0x9000_FFFF where tag & 0xFFF == 0x01A: "a placeholder for a file in the cloud"
        case 0xC000_0004, 0x8000_0006: "hierarchical storage management"
        case 0x8000_0008: "WIM mount"
        default: "reparse tag 0x" + String(tag, radix: 16)
        }
    }

    /// The substitute name: offset and length stand behind the header, the text where `names` is.
    private static func name(_ bytes: [UInt8], names: Int) throws -> String {
        let offset = Int(try bytes.load(UInt16.self, at: 8, .little))
        let count = Int(try bytes.load(UInt16.self, at: 10, .little))
        return decodeUTF16(try bytes.bytes(at: names + offset, count: count), .little)
    }

    /// A path of Windows as one of Linux. A drive letter means this volume: which volume had which letter, an image does not tell.
    private static func target(_ path: String, isRelative: Bool) -> LinkTarget {
        let components = path.split(separator: "\\").map(String.init)
        func joined(_ parts: some Sequence<String>) -> [UInt8] { Array(parts.joined(separator: "/").utf8) }
        if isRelative {
            return LinkTarget(base: path.hasPrefix("\\") ? .root : .folder, path: joined(components))
        }
        var rest = components[...]
        if rest.first == "??" || rest.first == "?" { rest = rest.dropFirst() }
        guard let drive = rest.first, drive.count == 2, drive.hasSuffix(":"), drive.first?.isLetter == true else {
            return LinkTarget(base: .elsewhere, path: joined(rest))
        }
        return LinkTarget(base: .root, path: joined(rest.dropFirst()))
    }
}
