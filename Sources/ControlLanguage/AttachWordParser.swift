extension AttachWords {
    /// Reads words that are already split: of a request, of a command line, or the attach words among mount options.
    ///
    /// - Throws: `RequestError` for an unknown word, one that comes twice (`parent=` may), a value that isn't one, `sd=` together with
    ///   `owner=`, `group=` or `mode=`.
    public init(_ words: some Sequence<Word>) throws(RequestError) {
        var parser = AttachWordParser()
        for word in words {
            try parser.take(word)
        }
        self = try parser.finish()
    }

    /// Whether a word, by its part before the `=`, is one of those of `attach`; its value may still be wrong.
    ///
    /// Tells attach words from the other options of a mount.
    public static func recognizes(_ word: Word) -> Bool {
        let (key, value) = word.keyAndValue
        if value != nil { return Key(rawValue: key) != nil }
        return AttachFlagName.named(key) != nil || switches.contains { $0.word == key }
    }

    /// The words that have a value.
    fileprivate enum Key: String, CaseIterable {
        case flags
        case providerFlags = "provider-flags"
        case version
        case type
        case name
        case descriptor = "sd"
        case owner
        case group
        case mode
        case parent

        /// What the value may be.
        var accepted: String {
            switch self {
            case .flags: "a number of 32 bits, hexadecimal as 0x1 or decimal"
            case .providerFlags, .version: "a number of 32 bits"
            case .type: ImageType.allCases.map(\.rawValue).joined(separator: ", ")
            case .name:
                "1 to \(AttachmentName.maximumLength) characters of A-Z a-z 0-9 . _ + @ = -, but not . or .."
            case .descriptor: "a security descriptor in SDDL"
            case .owner: "a user id from 0 to 4294967294"
            case .group: "a group id from 0 to 4294967294"
            case .mode: "permissions in octal, 0000 to 0777"
            case .parent: "the path of an image"
            }
        }
    }
}

private struct AttachWordParser {
    private typealias Key = AttachWords.Key

    private var result = AttachWords()
    private var descriptor: Word?
    private var owner: UInt32?
    private var group: UInt32?
    private var mode: UInt32?
    private var seen: Set<String> = []

    mutating func take(_ word: Word) throws(RequestError) {
        let (text, value) = word.keyAndValue
        guard let key = Key(rawValue: text) else { return try takeSwitch(word) }
        guard let value else { throw RequestError("\(word) needs a value, \(text)=…: \(key.accepted)") }
        if key != .parent { try see(text, as: word) }
        guard takeValue(value, of: key) else {
            throw RequestError("wrong value in \(word): \(text)= takes \(key.accepted)")
        }
    }

    func finish() throws(RequestError) -> AttachWords {
        var result = result
        let isPosix = owner != nil || group != nil || mode != nil
        switch descriptor {
        case .some where isPosix:
            throw RequestError("sd= excludes owner=, group= and mode=; say who has access in one of the two ways")
        case .some(let sddl): result.access = .descriptor(sddl)
        case nil where isPosix:
            result.access = .posix(owner: owner, group: group, mode: mode.map(UInt16.init(truncatingIfNeeded:)))
        case nil: break
        }
        return result
    }

    private mutating func takeSwitch(_ word: Word) throws(RequestError) {
        let (text, value) = word.keyAndValue
        if let flag = AttachFlagName.named(text) {
            try see(flag.windowsName, as: word)
            result.flags |= flag.bit
        } else if let named = AttachWords.switches.first(where: { $0.word == text }) {
            try see(text, as: word)
            result[keyPath: named.isSet] = true
        } else {
            throw RequestError("unknown word \(word); attach takes \(AttachWords.vocabulary)")
        }
        if value != nil { throw RequestError("wrong word \(word): \(text) takes no value") }
    }

    private mutating func see(_ key: String, as word: Word) throws(RequestError) {
        guard seen.insert(key).inserted else { throw RequestError("\(word) repeats what was said before") }
    }

    /// Sets what a key stands for; false if the value isn't one.
    private mutating func takeValue(_ value: Word, of key: Key) -> Bool {
        switch key {
        case .flags:
            guard let number = number(value) else { return false }
            result.flags |= number
        case .providerFlags:
            guard let number = number(value) else { return false }
            result.providerFlags = number
        case .version:
            guard let number = number(value) else { return false }
            result.version = number
        case .type:
            guard let type = AttachWords.ImageType(rawValue: value.text) else { return false }
            result.type = type
        case .name:
            result.name = AttachmentName(value.text)
            return result.name != nil
        case .descriptor:
            descriptor = value
            return !value.bytes.isEmpty
        case .owner:
            owner = identifier(value)
            return owner != nil
        case .group:
            group = identifier(value)
            return group != nil
        case .mode:
            mode = digits(value.text, radix: 8, in: 0...0o777)
            return mode != nil
        case .parent:
            result.parents.append(value)
            return !value.bytes.isEmpty
        }
        return true
    }

    private func number(_ value: Word) -> UInt32? {
        let text = value.text
        return text.hasPrefix("0x") || text.hasPrefix("0X")
            ? digits(text.dropFirst(2), radix: 16, in: 0...UInt32.max)
            : digits(text, radix: 10, in: 0...UInt32.max)
    }

    /// A user or group id; the largest number means "no id" to the system.
    private func identifier(_ value: Word) -> UInt32? {
        digits(value.text, radix: 10, in: 0...UInt32.max - 1)
    }

    /// A number of digits only; the standard library alone would take a sign too.
    private func digits(_ text: some StringProtocol, radix: Int, in range: ClosedRange<UInt32>) -> UInt32? {
        guard text.first?.isHexDigit == true, let number = UInt32(text, radix: radix), range.contains(number) else {
            return nil
        }
        return number
    }
}

extension AttachWords {
    /// All words, for the message about an unknown one.
    fileprivate static var vocabulary: String {
        let flags = AttachFlagName.all.compactMap(\.words.first)
        return (flags + Key.allCases.map { $0.rawValue + "=" } + switches.map(\.word)).joined(separator: ", ")
    }
}

extension Word {
    /// What is before the first `=`, and what is behind it; nil if there is none.
    fileprivate var keyAndValue: (key: String, value: Word?) {
        guard let equals = bytes.firstIndex(of: UInt8(ascii: "=")) else { return (text, nil) }
        return (String(decoding: bytes[..<equals], as: UTF8.self), Word(unchecked: bytes[(equals + 1)...]))
    }
}
