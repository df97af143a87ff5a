/// Puts together the lines that come in through the `write`s of one open file.
///
/// When a line has failed, the caller leaves the later lines of that write alone and calls `discardRemainder`.
public struct LineAssembler: Sendable {
    /// How long a line may be, in bytes, without its newline.
    public static let maximumLength = 65_536

    /// What a write has completed.
    public enum Line: Hashable, Sendable {
        /// A line, without its newline.
        case complete([UInt8])
        /// A line is longer than `maximumLength`. It comes once, as soon as that is known; the rest of the line is swallowed, in later writes too.
        case overlong
    }

    private var pending: [UInt8] = []
    private var isSwallowing = false

    /// Makes an assembler that holds nothing.
    public init() {}

    /// Takes the bytes of one write; gives what they complete, in order.
    public mutating func append(_ bytes: some Sequence<UInt8>) -> [Line] {
        var lines: [Line] = []
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                if !isSwallowing { lines.append(.complete(pending)) }
                pending = []
                isSwallowing = false
            } else if !isSwallowing {
                if pending.count < Self.maximumLength {
                    pending.append(byte)
                } else {
                    lines.append(.overlong)
                    pending = []
                    isSwallowing = true
                }
            }
        }
        return lines
    }

    /// Takes the line that no newline has ended, at the close; nil if there is none.
    public mutating func takeRemainder() -> [UInt8]? {
        defer { pending = [] }
        return pending.isEmpty ? nil : pending
    }

    /// Drops the line that no newline has ended. The rest of an overlong line is still swallowed.
    public mutating func discardRemainder() {
        pending = []
    }
}
