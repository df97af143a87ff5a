internal import BlockDevice
internal import ByteIO

/// One of the eight places where a differencing disk may say where its parent is (formats.md §2.8).
struct ParentLocator {
    private static let lengthLimit: UInt32 = 65_536

    /// Who can read the text: `W2ru`, `W2ku`, `MacX` … as a number.
    let platformCode: UInt32
    /// The bytes of the locator's text in the file, as far as they are used.
    let range: Range<UInt64>
    /// How much room the locator has in the file, from the start of `range` on.
    let space: UInt64
    /// The text; empty for codes that we can't read.
    let text: String

    /// Reads one 24-byte entry of the header. Nil when it is unused, or points where nothing can be: such a locator is skipped.
    init?(entry: [UInt8], in file: any HostFile) throws(DiskError) {
        guard
            let code = try? entry.load(UInt32.self, at: 0, .big), code != 0,
            let dataSpace = try? entry.load(UInt32.self, at: 4, .big),
            let length = try? entry.load(UInt32.self, at: 8, .big), length <= Self.lengthLimit,
            let offset = try? entry.load(UInt64.self, at: 16, .big)
        else { return nil }
        let size = try file.size()
        guard offset <= size, size - offset >= UInt64(length) else { return nil }
        platformCode = code
        range = offset..<offset + UInt64(length)
        // Meant to count sectors, and mostly written as bytes: below 512 it can only be sectors (Xen's rule).
        space = max(UInt64(dataSpace) < 512 ? UInt64(dataSpace) * 512 : UInt64(dataSpace), UInt64(length))
        let bytes = try file.readBytes("parent locator", at: offset, count: Int(length))
        text =
            switch code {
            case Self.relativeWindowsPath, Self.absoluteWindowsPath: decodeUTF16(bytes, .little)
            case Self.macURL: String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            default: ""
            }
    }

    /// Whether an entry of the header is meant to point at something.
    static func isUsed(_ entry: [UInt8]) -> Bool {
        guard let code = try? entry.load(UInt32.self, at: 0, .big),
            let length = try? entry.load(UInt32.self, at: 8, .big)
        else { return false }
        return code != 0 && length > 0 && length <= lengthLimit
    }

    /// `W2ru`: a relative Windows path, UTF-16 LE.
    static let relativeWindowsPath: UInt32 = 0x5732_7275
    /// `W2ku`: an absolute Windows path, UTF-16 LE.
    static let absoluteWindowsPath: UInt32 = 0x5732_6B75
    /// `MacX`: a `file://` URL, UTF-8, percent-encoded.
    static let macURL: UInt32 = 0x4D61_6358
}
