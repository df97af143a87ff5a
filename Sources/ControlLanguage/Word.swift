/// One word of a request, byte for byte: a path need not be UTF-8.
///
/// It may be any bytes but NUL, which no path can hold, and newline, which ends a request. So every word can be written in a
/// request and read back, and a file whose path has a newline in it can't be attached.
public struct Word: Hashable, Sendable {
    /// The bytes, without quotes.
    public let bytes: [UInt8]

    /// Takes bytes; nil if there is a NUL or a newline among them.
    public init?(_ bytes: some Sequence<UInt8>) {
        let bytes = Array(bytes)
        guard !bytes.contains(0), !bytes.contains(UInt8(ascii: "\n")) else { return nil }
        self.bytes = bytes
    }

    /// Takes text; nil if there is a NUL or a newline in it.
    public init?(_ text: String) {
        self.init(text.utf8)
    }

    /// The caller has made sure that there is neither NUL nor newline.
    init(unchecked bytes: some Sequence<UInt8>) {
        self.bytes = Array(bytes)
    }

    /// The word as text, what isn't UTF-8 replaced by U+FFFD: for words that are names and numbers, never for paths.
    public var text: String {
        String(decoding: bytes, as: UTF8.self)
    }
}

extension Word: CustomStringConvertible {
    /// The word as a message shows it: control characters escaped, shortened to 80 characters, in single quotes.
    public var description: String {
        let shown = String(decoding: escapingControls(bytes), as: UTF8.self)
        return shown.count > 80 ? "'\(shown.prefix(79))…'" : "'\(shown)'"
    }
}

/// Text of bytes that need not be UTF-8: what isn't stands as `\xNN`.
public func escapingInvalidUTF8(_ bytes: [UInt8]) -> String {
    var text = ""
    var rest = bytes[...]
    var parser = Unicode.UTF8.ForwardParser()
    var iterator = bytes.makeIterator()
    while true {
        switch parser.parseScalar(from: &iterator) {
        case .valid(let scalar):
            text.unicodeScalars.append(Unicode.UTF8.decode(scalar))
            rest = rest.dropFirst(scalar.count)
        case .error(let length):
            for byte in rest.prefix(length) {
                text += "\\x" + [byte >> 4, byte & 15].map { String($0, radix: 16, uppercase: true) }.joined()
            }
            rest = rest.dropFirst(length)
        case .emptyInput: return text
        }
    }
}

/// Writes control characters (C0, DEL, and C1 as UTF-8 has them) as `\n` or `\xNN`, so that text stays on its line and can't steer a
/// terminal. All other bytes stay as they are, backslashes too: this is for reading, not for undoing.
public func escapingControls(_ bytes: [UInt8]) -> [UInt8] {
    let digits = Array("0123456789ABCDEF".utf8)
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    var previous: UInt8 = 0
    for (position, byte) in bytes.enumerated() {
        let next = bytes.dropFirst(position + 1).first ?? 0
        let isC1 = byte == 0xC2 && (0x80...0x9F).contains(next) || previous == 0xC2 && (0x80...0x9F).contains(byte)
        if byte == UInt8(ascii: "\n") {
            result += "\\n".utf8
        } else if byte < 0x20 || byte == 0x7F || isC1 {
            result += "\\x".utf8
            result.append(digits[Int(byte >> 4)])
            result.append(digits[Int(byte & 15)])
        } else {
            result.append(byte)
        }
        previous = byte
    }
    return result
}
