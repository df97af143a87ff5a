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

extension GUID {
    /// The identifier as Windows writes it, lower case and without braces: the first three groups stand in little-endian order in the file.
    public var windowsText: String { mixed.description }

    /// Reads what Windows writes: with or without braces, in upper or lower case. Nil for anything else.
    public init?(windowsText text: String) {
        var text = Substring(text)
        if text.hasPrefix("{"), text.hasSuffix("}") { text = text.dropFirst().dropLast() }
        let groups = text.split(separator: "-", omittingEmptySubsequences: false)
        guard groups.map(\.utf8.count) == [8, 4, 4, 4, 12] else { return nil }
        var bytes: [UInt8] = []
        var digits = Array(groups.joined().utf8)[...]
        while let high = digits.popFirst(), let low = digits.popFirst() {
            guard let high = Self.value(ofDigit: high), let low = Self.value(ofDigit: low) else { return nil }
            bytes.append(high << 4 | low)
        }
        guard let guid = GUID(bytes: bytes) else { return nil }
        self = guid.mixed
    }

    /// The same with the first three groups turned round.
    private var mixed: GUID {
        GUID(unchecked: [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15].map { bytes[$0] })
    }

    private static func value(ofDigit digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
