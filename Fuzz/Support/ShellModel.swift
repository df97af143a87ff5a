/// POSIX' way to split words (Shell Command Language, §2.2), told once more and otherwise: a word is a row of parts, and each part is read to
/// its end at once.
enum ShellModel {
    /// The words of a line; nil when it can't be split.
    static func words(_ line: [UInt8]) -> [[UInt8]]? {
        guard !line.contains(0), !line.contains(UInt8(ascii: "\n")) else { return nil }
        var words: [[UInt8]] = []
        var rest = line[...].drop(while: isBlank)
        while !rest.isEmpty {
            var word: [UInt8] = []
            while let first = rest.first, !isBlank(first) {
                guard let part = takePart(&rest) else { return nil }
                word += part
            }
            words.append(word)
            rest = rest.drop(while: isBlank)
        }
        return words
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    /// A quoted text, an escaped byte, or those that stand for themselves.
    private static func takePart(_ rest: inout ArraySlice<UInt8>) -> [UInt8]? {
        let first = rest.removeFirst()
        switch first {
        case UInt8(ascii: "'"):
            guard let end = rest.firstIndex(of: first) else { return nil }
            defer { rest = rest[(end + 1)...] }
            return Array(rest[..<end])
        case UInt8(ascii: "\\"):
            return rest.popFirst().map { [$0] }
        case UInt8(ascii: "\""):
            var part: [UInt8] = []
            while let byte = rest.popFirst() {
                if byte == first { return part }
                let isEscape = byte == UInt8(ascii: "\\") && (rest.first.map { #"$`"\"#.utf8.contains($0) } ?? false)
                part.append(isEscape ? rest.removeFirst() : byte)
            }
            return nil
        default:
            let others = rest.prefix { !#" '"\"#.utf8.contains($0) && !isBlank($0) }
            defer { rest = rest[others.endIndex...] }
            return [first] + others
        }
    }
}

/// Lines as `ctl` takes them, told from all bytes at once.
enum LineModel {
    static let limit = 65_536

    /// The lines that newlines end, nil for one that is too long; and the rest, which is nothing where it is too long or empty.
    static func lines(_ bytes: [UInt8]) -> (lines: [[UInt8]?], remainder: [UInt8]?) {
        var pieces = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { Array($0) }
        let last = pieces.removeLast()
        var lines = pieces.map { $0.count > limit ? nil : $0 }
        if last.count > limit { lines.append(nil) }
        return (lines, last.isEmpty || last.count > limit ? nil : last)
    }
}
