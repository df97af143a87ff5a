/// The 16 bytes of an identifier, as they stand in the file. Compared byte for byte, never converted before that.
public struct GUID: Hashable, Sendable {
    /// The bytes in file order.
    public let bytes: [UInt8]

    /// Takes 16 bytes; nil for any other number.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    /// A new random identifier (RFC 4122 version 4, in RFC byte order).
    public static func random() -> GUID {
        var bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max) }
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        return GUID(unchecked: bytes)
    }

    /// All bytes zero: "no identifier".
    public static let zero = GUID(unchecked: Array(repeating: 0, count: 16))

    private init(unchecked bytes: [UInt8]) {
        self.bytes = bytes
    }
}

extension GUID: CustomStringConvertible {
    /// The bytes in file order, grouped 8-4-4-4-12 (the way RFC 4122 prints them).
    public var description: String {
        let digits = Array("0123456789abcdef")
        var text = ""
        for (i, byte) in bytes.enumerated() {
            if [4, 6, 8, 10].contains(i) { text.append("-") }
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return text
    }
}
