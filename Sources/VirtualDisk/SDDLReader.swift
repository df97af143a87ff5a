/// Walks over a string in SDDL. Letters come out as capitals.
struct SDDLReader {
    private let bytes: [UInt8]
    /// How many bytes have been taken.
    private(set) var position = 0

    init(_ text: String) {
        bytes = Array(text.utf8)
    }

    var isAtEnd: Bool { position >= bytes.count }

    var count: Int { bytes.count }

    /// The byte `offset` places further, as a capital; nil past the end.
    func peek(_ offset: Int = 0) -> UInt8? {
        guard position + offset < bytes.count else { return nil }
        let byte = bytes[position + offset]
        return (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) ? byte - 0x20 : byte
    }

    /// Takes `text`, written in capitals, if it comes next.
    mutating func take(_ text: String) -> Bool {
        for (offset, byte) in text.utf8.enumerated() where peek(offset) != byte { return false }
        position += text.utf8.count
        return true
    }

    /// Takes `text`, or fails.
    mutating func expect(_ text: String, _ expectation: String) throws(AttachError) {
        guard take(text) else { throw failure("expected \(expectation)") }
    }

    /// Takes two letters; nil, and nothing taken, if there aren't two.
    mutating func takeTwoLetters() -> String? {
        guard let first = peek(), let second = peek(1), Self.isLetter(first), Self.isLetter(second) else { return nil }
        position += 2
        return String(decoding: [first, second], as: UTF8.self)
    }

    /// Takes the letters that come next.
    mutating func takeLetters() -> String {
        let start = position
        while let byte = peek(), Self.isLetter(byte) { position += 1 }
        return text(from: start)
    }

    /// Takes a number that has at least one digit and at most `digits`, and isn't above `limit`.
    mutating func takeNumber(radix: UInt64, digits: Int, upTo limit: UInt64) throws(AttachError) -> UInt64 {
        let start = position
        var number: UInt64 = 0
        while let byte = peek(), let digit = Self.digit(byte), digit < radix {
            let (shifted, overflow) = number.multipliedReportingOverflow(by: radix)
            let (sum, carry) = shifted.addingReportingOverflow(digit)
            guard !overflow, !carry, sum <= limit, position - start < digits else {
                throw failure("expected a number of at most \(digits) digits, not above \(limit)")
            }
            number = sum
            position += 1
        }
        guard position > start else { throw failure("expected a number") }
        return number
    }

    /// What has been taken since `start`, in capitals.
    func text(from start: Int) -> String {
        String(decoding: bytes[min(start, position)..<position], as: UTF8.self).uppercased()
    }

    /// An error at the present position.
    func failure(_ text: String) -> AttachError {
        AttachError(.invalidParameter, "wrong security descriptor, \(place): \(text)")
    }

    private var place: String {
        guard !isAtEnd else { return "at its end" }
        let byte = bytes[position]
        let shown = (0x21...0x7E).contains(byte) ? " ('\(Character(Unicode.Scalar(byte)))')" : ""
        return "at character \(position + 1)\(shown)"
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
    }

    private static func digit(_ byte: UInt8) -> UInt64? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(byte - UInt8(ascii: "A") + 10)
        default: nil
        }
    }
}
