/// How the name of a file in a volume is shown to programs.
///
/// A name in a directory of Linux is UTF-8 without slashes and NULs, and is not `.` or `..`. A name in an image may be anything. Every byte that
/// can't be shown becomes `\xHH`, and a backslash that stands before `x` and two hexadecimal digits becomes `\x5C`: so every shown name leads back
/// to one name of the volume, and ordinary names are shown as they are.
public enum ShownName {
    /// The name that programs see. UTF-8, at most four times as long.
    public static func shown(_ name: some Collection<UInt8>) -> [UInt8] {
        let bytes = Array(name)
        if isOrdinary(bytes) { return bytes }
        if bytes.isEmpty { return empty }
        if bytes == empty { return escaped(backslash) + bytes.dropFirst() }
        if bytes == [dot] || bytes == [dot, dot] { return bytes.flatMap(escaped) }
        var shown: [UInt8] = []
        var index = 0
        while index < bytes.count {
            let count = wellFormedLength(bytes, at: index)
            let byte = bytes[index]
            if count == 0 || byte == 0 || byte == slash || (byte == backslash && isEscape(bytes, at: index)) {
                shown += escaped(byte)
                index += 1
            } else {
                shown += bytes[index..<index + count]
                index += count
            }
        }
        return shown
    }

    /// The name in the volume that a shown name stands for.
    public static func stored(_ shown: some Collection<UInt8>) -> [UInt8] {
        let bytes = Array(shown)
        guard bytes.contains(backslash) else { return bytes }
        if bytes == empty { return [] }
        var stored: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if isEscape(bytes, at: index), let high = digit(bytes[index + 2]), let low = digit(bytes[index + 3]) {
                stored.append(high << 4 | low)
                index += 4
            } else {
                stored.append(bytes[index])
                index += 1
            }
        }
        return stored
    }

    /// How a name of no bytes is shown.
    private static let empty = Array("\\x".utf8)
    private static let slash = UInt8(ascii: "/")
    private static let dot = UInt8(ascii: ".")
    private static let backslash = UInt8(ascii: "\\")

    /// Nearly every name: nothing in it needs a second look.
    private static func isOrdinary(_ bytes: [UInt8]) -> Bool {
        guard let first = bytes.first, first != dot || bytes.count > 2 else {
            return bytes.count == 2 && bytes[1] != dot && bytes.allSatisfy(isPlain)
        }
        return bytes.allSatisfy(isPlain)
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        byte < 0x80 && byte != 0 && byte != slash && byte != backslash
    }

    private static func escaped(_ byte: UInt8) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        return [backslash, UInt8(ascii: "x"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }

    private static func isEscape(_ bytes: [UInt8], at index: Int) -> Bool {
        index + 3 < bytes.count && bytes[index] == backslash && bytes[index + 1] == UInt8(ascii: "x")
            && digit(bytes[index + 2]) != nil && digit(bytes[index + 3]) != nil
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// The length of the UTF-8 sequence that begins at an index; 0 if none does (Unicode 3.9, table 3-7).
    private static func wellFormedLength(_ bytes: [UInt8], at index: Int) -> Int {
        let first = bytes[index]
        let (count, second): (Int, ClosedRange<UInt8>)
        switch first {
        case 0...0x7F: return 1
        case 0xC2...0xDF: (count, second) = (2, 0x80...0xBF)
        case 0xE0: (count, second) = (3, 0xA0...0xBF)
        case 0xE1...0xEC, 0xEE...0xEF: (count, second) = (3, 0x80...0xBF)
        case 0xED: (count, second) = (3, 0x80...0x9F)
        case 0xF0: (count, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: (count, second) = (4, 0x80...0xBF)
        case 0xF4: (count, second) = (4, 0x80...0x8F)
        default: return 0
        }
        guard index + count <= bytes.count, second.contains(bytes[index + 1]) else { return 0 }
        return bytes[index + 2..<index + count].allSatisfy { $0 & 0xC0 == 0x80 } ? count : 0
    }
}
