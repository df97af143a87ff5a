internal import ControlLanguage

/// What a program writes into `ctl`. An input is the length of its writes less one, how often the text is doubled (so that a short input can be a
/// long text, which is tried seldom: it is slow), and the text.
///
/// * Lines come out of any writes as they are in the text.
/// * A line is split as a plain reader of POSIX' rules splits it, and quoting is undone by both.
/// * A request that was read is read again from the line that it writes, and that line is its own.
/// * The order of the words behind `attach PATH` means nothing, but for that of the parents.
/// * Answers stay on their line.
public struct ControlTarget: FuzzedFormat {
    public let name = "ctl"

    private static let textLimit = 70_000

    public func run(_ bytes: [UInt8]) throws(FuzzFailure) {
        guard bytes.count > 2 else { return }
        var text = Array(bytes[2...])
        for _ in 0..<Int(bytes[1] < 240 ? 0 : bytes[1] - 239) where text.count * 2 <= Self.textLimit { text += text }
        let (lines, remainder) = try assemble(text, writesOf: Int(bytes[0]) + 1)
        for line in lines.prefix(200) { try check(line) }
        if let remainder { try check(remainder) }
    }

    /// Puts the lines together from writes, and compares.
    private func assemble(_ text: [UInt8], writesOf count: Int) throws(FuzzFailure) -> ([[UInt8]], [UInt8]?) {
        let model = LineModel.lines(text)
        var assembler = LineAssembler()
        var lines: [LineAssembler.Line] = []
        for start in stride(from: 0, to: text.count, by: count) {
            lines += assembler.append(text[start..<min(text.count, start + count)])
        }
        try FuzzFailure.unless(lines == model.lines.map { $0.map { .complete($0) } ?? .overlong }, "other lines")
        try FuzzFailure.unless(assembler.takeRemainder() == model.remainder, "another remainder")
        try FuzzFailure.unless(assembler.takeRemainder() == nil, "a remainder that comes twice")
        return (model.lines.compactMap { $0 }, model.remainder)
    }

    private func check(_ line: [UInt8]) throws(FuzzFailure) {
        let words = try? ShellWords.split(line)
        let model = ShellModel.words(line)
        try FuzzFailure.unless(words?.map(\.bytes) == model, "split as \(words ?? []), not as \(model ?? [])")
        if let words {
            let joined = ShellWords.join(words)
            try FuzzFailure.unless((try? ShellWords.split(joined)) == words, "quoted words come back otherwise")
            try FuzzFailure.unless(ShellModel.words(joined) == model, "a shell would take the quotes otherwise")
            for word in words.prefix(8) { try check(word) }
        }
        let request: Request?
        do throws(RequestError) {
            request = try Request.parse(line)
        } catch {
            return try check(error)
        }
        guard let words, let request else { return }
        let again = request.line
        try FuzzFailure.unless((try? Request.parse(again)) == request, "\(request) does not read what it writes")
        if case .attach(_, let attach) = request { try check(Array(words.dropFirst(2)), attach) }
    }

    /// Names and messages that a word becomes part of.
    private func check(_ word: Word) throws(FuzzFailure) {
        let name = AttachmentName.derived(fromFileName: word.bytes)
        let other = name.unique { $0 == name }
        for name in [name, other] { try FuzzFailure.unless(AttachmentName(name.text) == name, "\(name) is no name") }
        try FuzzFailure.unless(name != other, "\(name) is not free")
        try expectOneLine(Response.attached(name: name, path: word.bytes).line)
        try expectOneLine(Array(word.description.utf8))
    }

    private func check(_ error: RequestError) throws(FuzzFailure) {
        let response = Response.failed(code: 87, name: "ERROR_INVALID_PARAMETER", text: error.text)
        try expectOneLine(response.line)
        try expectOneLine(Array(error.text.utf8))
    }

    /// No control characters, of C1 neither.
    private func expectOneLine(_ text: [UInt8]) throws(FuzzFailure) {
        let isPlain = text.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
        let hasC1 = zip(text, text.dropFirst()).contains { $0 == 0xC2 && (0x80...0x9F).contains($1) }
        try FuzzFailure.unless(isPlain && !hasC1, "a control character in \(text)")
    }

    private func check(_ words: [Word], _ attach: AttachWords) throws(FuzzFailure) {
        let parents = words.filter { $0.bytes.starts(with: "parent=".utf8) }
        let others = words.filter { !$0.bytes.starts(with: "parent=".utf8) }
        let turned = try? AttachWords(parents + others.reversed())
        try FuzzFailure.unless(turned == attach, "the order of the words means something")
        var flags: UInt32 = 0
        for word in words {
            try FuzzFailure.unless(AttachWords.recognizes(word), "\(word) is taken, and not recognized")
            flags |= (try? AttachWords([word]))?.flags ?? 0
        }
        try FuzzFailure.unless(flags == attach.flags, "flags \(attach.flags) are not those of the words, \(flags)")
        try FuzzFailure.unless(attach.parents.count == parents.count, "a parent is missing")
    }

    public var inputs: [[UInt8]] {
        let lines = [
            "attach /a.vhd readonly name=mine\nlist\n",
            "attach 'My Disk.vhdx' parent=a parent=\"b c\" flags=0x3 version=2",
            "attach a sd=O:BAG:BAD:(A;;GA;;;WD)\ndetach a force\ninfo a\nhelp\n# no request\n \t\n",
            "attach a\\ b owner=1 group=2 mode=0640 type=vhdset provider-flags=1 no-lock break-children\n",
            "attach a ATTACH_VIRTUAL_DISK_FLAG_PERMANENT_LIFETIME support-compressed-volumes support-encrypted-files",
            "'it'\\''s' \"\\$\\a\" ''", "detach 'a\n", "attach a ro ro\nattach a sd=D: mode=0\nattach a no-lock=1\n",
        ]
        // One that is longer than a line may be.
        return lines.map { [7, 0] + $0.utf8 } + [[255, 255] + Array(repeating: UInt8(ascii: "a"), count: 520)]
    }

    public var words: [String] {
        ["attach ", "detach ", "info ", "list", "help", " force", "parent=", "sd=", "0x", "'\\''", "\\\"", "\"", "'"]
            + AttachFlagName.all.flatMap { [$0.windowsName] + $0.words }
            + [
                "flags=", "provider-flags=", "version=", "type=", "name=", "owner=", "group=", "mode=", "vhdset",
                "auto",
            ]
            + ["support-compressed-volumes", "support-encrypted-files", "no-lock", "break-children", "4294967295"]
    }
}
