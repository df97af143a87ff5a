internal import ArgumentParser
internal import ControlLanguage
internal import Platform
internal import SystemPackage
internal import VirtualDisk

/// `--at`, which all verbs have.
struct Place: ParsableArguments {
    @Option(
        name: .customLong("at"),
        help: ArgumentHelp("The file system, if it is not the only one.", valueName: "mountpoint")
    )
    var mountPoint: String?
}

/// `vhdfs attach IMAGE [WORD…]`.
struct AttachVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attach",
        _superCommandName: "vhdfs",
        abstract: "Attach an image for as long as the file system is mounted.",
        discussion: "Prints the folder of the attached disk. An ISO image is attached read-only by itself."
    )

    @OptionGroup var place: Place

    @Flag(name: [.customShort("r"), .customLong("read-only")], help: "Attach read-only.")
    var isReadOnly = false

    @Argument(help: "The image file.")
    var image: String

    @Argument(help: "The words that 'attach' has in ctl: readonly, permanent, name=…; see 'vhdfs --help'.")
    var words: [String] = []

    func run() throws {
        let words = try parsedWords()
        let path = try Target.path(image)
        let fileSystem = try MountedFileSystem(at: place.mountPoint)
        try words.attaching(FilePath(bytes: path.bytes)) { (words) throws(AttachError) in
            try fileSystem.attach(path, words)
        }
        let answer = try fileSystem.ask(.info(target: path))
        guard let name = Target.name(inAnswer: answer) else { return }
        Console.say(fileSystem.folder(of: name).string)
    }

    private func parsedWords() throws(UsageError) -> AttachWords {
        var list: [Word] = []
        for text in words {
            guard let word = Word(Surroundings.argument(shownAs: text)) else {
                throw UsageError("a word with a newline in it can't be handed on")
            }
            list.append(word)
        }
        do {
            var words = try AttachWords(list)
            words.parents = words.parents.map(UserPath.absolute)
            if isReadOnly { words.isReadOnly = true }
            return words
        } catch {
            throw UsageError(error.text)
        }
    }
}
