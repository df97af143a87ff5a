/// One request to the file system, as a line of `ctl` has it.
public enum Request: Hashable, Sendable {
    /// Attach an image.
    case attach(path: Word, words: AttachWords)
    /// Detach by name or by the path of the image; `force` even if files are open.
    case detach(target: Word, force: Bool)
    /// Tell about an attachment, by name or by the path of the image.
    case info(target: Word)
    /// Name all attachments.
    case list
    /// Explain the requests.
    case help

    /// Reads a line without its newline; nil for one that asks nothing: an empty one, or a comment (it begins with `#`,
    /// blanks before it aside).
    ///
    /// - Throws: `RequestError`, also for unknown verbs.
    public static func parse(_ line: [UInt8]) throws(RequestError) -> Request? {
        if line.first(where: { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") }) == UInt8(ascii: "#") {
            return nil
        }
        let words = try ShellWords.split(line)
        guard let verb = words.first else { return nil }
        let arguments = words.dropFirst()
        switch verb.text {
        case "attach":
            let path = try target(arguments, of: "attach", is: "the path of an image")
            return .attach(path: path, words: try AttachWords(arguments.dropFirst()))
        case "detach":
            let target = try target(arguments, of: "detach", is: "a name or a path")
            let force = arguments.dropFirst().first?.text == "force"
            try expectEnd(arguments.dropFirst(force ? 2 : 1), of: "detach NAME|PATH [force]")
            return .detach(target: target, force: force)
        case "info":
            let target = try target(arguments, of: "info", is: "a name or a path")
            try expectEnd(arguments.dropFirst(), of: "info NAME|PATH")
            return .info(target: target)
        case "list":
            try expectEnd(arguments, of: "list")
            return .list
        case "help":
            try expectEnd(arguments, of: "help")
            return .help
        default:
            throw RequestError("unknown verb \(verb); expected attach, detach, info, list or help")
        }
    }

    /// The request as a line without its newline; `parse` gives the same request back.
    public var line: [UInt8] {
        switch self {
        case .attach(let path, let words): ShellWords.join([Word(unchecked: "attach".utf8), path] + words.words)
        case .detach(let target, let force):
            ShellWords.join(
                [Word(unchecked: "detach".utf8), target] + (force ? [Word(unchecked: "force".utf8)] : [])
            )
        case .info(let target): ShellWords.join([Word(unchecked: "info".utf8), target])
        case .list: Array("list".utf8)
        case .help: Array("help".utf8)
        }
    }

    private static func target(
        _ arguments: ArraySlice<Word>,
        of verb: String,
        is meaning: String
    ) throws(RequestError) -> Word {
        guard let target = arguments.first, !target.bytes.isEmpty else {
            throw RequestError("\(verb) needs \(meaning)")
        }
        return target
    }

    private static func expectEnd(_ rest: ArraySlice<Word>, of usage: String) throws(RequestError) {
        if let word = rest.first { throw RequestError("unexpected word \(word); the request is: \(usage)") }
    }
}
