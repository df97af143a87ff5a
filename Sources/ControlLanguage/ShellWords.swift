/// Splits a line into words, and quotes words, as a POSIX shell does (Shell Command Language, §2.2 and §2.3), without any expansion.
///
/// Blanks (space and tab) separate words. All other bytes stand for themselves, so `sd=D:(A;;FA;;;WD)` and `*` need no quotes here,
/// though they do in a shell.
public enum ShellWords {
    /// Splits a line that has no newline.
    ///
    /// In single quotes every byte stands for itself. In double quotes a backslash takes away the meaning of `$`, `` ` ``, `"` and `\`, and
    /// is a backslash before anything else. Outside of quotes it takes away the meaning of whatever follows.
    ///
    /// - Throws: `RequestError` for a quote without its end, a backslash at the end, a NUL, a newline.
    public static func split(_ line: some Sequence<UInt8>) throws(RequestError) -> [Word] {
        var splitter = Splitter()
        for byte in line {
            try splitter.take(byte)
        }
        return try splitter.finish()
    }

    /// Writes a word so that `split` gives it back, and so would a shell: bare if it is plain, else in single quotes.
    public static func quote(_ word: Word) -> [UInt8] {
        if !word.bytes.isEmpty, word.bytes.allSatisfy(isPlain) { return word.bytes }
        let apostrophe = UInt8(ascii: "'")
        var quoted = [apostrophe]
        for byte in word.bytes {
            if byte == apostrophe {
                quoted += #"'\''"#.utf8
            } else {
                quoted.append(byte)
            }
        }
        quoted.append(apostrophe)
        return quoted
    }

    /// Writes words as one line, without a newline, so that `split` gives them back.
    public static func join(_ words: some Sequence<Word>) -> [UInt8] {
        Array(words.map(quote).joined(separator: " ".utf8))
    }

    /// Whether a byte means nothing to any shell.
    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default:
            "_@%+=:,./-".utf8.contains(byte)
        }
    }
}

/// Reads a line byte by byte.
private struct Splitter {
    private enum State {
        /// Between words.
        case blank
        case bare
        case single
        case double
        /// Behind a backslash, outside of quotes.
        case escaped
        /// Behind a backslash in double quotes.
        case escapedInDouble
    }

    private var state = State.blank
    private var word: [UInt8] = []
    private var words: [Word] = []

    mutating func take(_ byte: UInt8) throws(RequestError) {
        guard byte != 0 else { throw RequestError("a NUL byte in the request") }
        guard byte != UInt8(ascii: "\n") else { throw RequestError("a newline in the request; a request is one line") }
        switch state {
        case .blank, .bare:
            takeBare(byte)
        case .single:
            if byte == UInt8(ascii: "'") { state = .bare } else { word.append(byte) }
        case .double:
            takeDoubleQuoted(byte)
        case .escaped:
            word.append(byte)
            state = .bare
        case .escapedInDouble:
            if !#"$`"\"#.utf8.contains(byte) { word.append(UInt8(ascii: "\\")) }
            word.append(byte)
            state = .double
        }
    }

    func finish() throws(RequestError) -> [Word] {
        switch state {
        case .blank: return words
        case .bare: return words + [Word(unchecked: word)]
        case .single: throw RequestError("a single quote (') without its end")
        case .double, .escapedInDouble: throw RequestError("a double quote (\") without its end")
        case .escaped: throw RequestError("a backslash (\\) at the end of the line, with nothing behind it")
        }
    }

    private mutating func takeBare(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: " "), UInt8(ascii: "\t"):
            if state == .bare { words.append(Word(unchecked: word)) }
            word = []
            state = .blank
        case UInt8(ascii: "'"):
            state = .single
        case UInt8(ascii: "\""):
            state = .double
        case UInt8(ascii: "\\"):
            state = .escaped
        default:
            word.append(byte)
            state = .bare
        }
    }

    private mutating func takeDoubleQuoted(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): state = .bare
        case UInt8(ascii: "\\"): state = .escapedInDouble
        default: word.append(byte)
        }
    }
}
