internal import ArgumentParser
internal import BlockDevice
internal import ControlLanguage
internal import Platform
internal import SystemPackage
internal import VirtualDisk

/// `vhdfs check IMAGE [WORD…]`.
struct CheckVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        _superCommandName: "vhdfs",
        abstract: "Check the structures of a VHD or VHDX image that nobody writes to; nothing is changed in it.",
        discussion: """
            Prints a line for each finding ('damaged: ', 'leak: ', 'note: ') and one for the result. A parent is not \
            checked along with its child. Exit status: 0 clean, 1 can't be checked, 2 damaged, 3 only leaked space.
            """
    )

    /// The exit statuses of CONTRACT.md §2.
    private enum Status {
        static let damaged: Int32 = 2
        static let leaks: Int32 = 3
    }

    @Argument(help: "The image file.")
    var image: String

    @Argument(help: "type=vhd or type=vhdx, if the content alone does not tell; no-lock.")
    var words: [String] = []

    func run() throws {
        let words = try parsedWords()
        let path = UserPath.absolute(image)
        let credentials: Credentials
        do {
            credentials = try Credentials.current
        } catch {
            throw AttachError(error, path: path)
        }
        let report = try ImageCheck.run(
            path,
            words,
            opener: DirectOpener(),
            for: Requester(credentials: credentials)
        )
        for line in report.lines { Console.say(Console.oneLine(line)) }
        if report.count(.damaged) > 0 { throw ExitCode(Status.damaged) }
        if report.count(.leak) > 0 { throw ExitCode(Status.leaks) }
    }

    private func parsedWords() throws(UsageError) -> AttachWords {
        let accepted = ["type", "no-lock"]
        for text in words where !accepted.contains(String(text.prefix { $0 != "=" })) {
            throw UsageError("unexpected word '\(text)'; check takes type=… and no-lock")
        }
        do throws(RequestError) {
            return try AttachWords(words.compactMap { Word($0) })
        } catch {
            throw UsageError(error.text)
        }
    }
}
