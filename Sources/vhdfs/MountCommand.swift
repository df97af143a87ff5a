internal import ArgumentParser

/// `vhdfs [IMAGE…] MOUNTPOINT`: everything that is not a verb.
struct MountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vhdfs",
        abstract: "Attach disk images and show them as files.",
        version: Program.version,
        // Ours is longer, and has the verbs and the words in it.
        helpNames: []
    )

    @Flag(name: [.customShort("h"), .customLong("help")], help: "Tell how to use it.")
    var wantsHelp = false

    @Argument(help: "The images to attach ('none' is no image), and last the mount point.")
    var operands: [String] = []

    @Flag(name: [.customShort("f"), .customLong("foreground")], help: "Stay in the foreground, and log to stderr.")
    var isForeground = false

    @Flag(name: [.customShort("r"), .customLong("read-only")], help: "Attach everything read-only.")
    var isReadOnly = false

    @Option(name: .customShort("o"), help: "Mount options, as in fstab.")
    var options: [String] = []

    @Option(name: .customLong("state-dir"), help: "Where permanent attachments are recorded.")
    var stateDirectory: String?

    @Option(name: .customLong("manage-group"), help: "A group whose members may attach and detach.")
    var manageGroup: String?

    @Option(name: .customLong("log-level"), help: "How much to log.")
    var logLevel = "info"

    /// Writes `-oallow_other,fsname=a` as two words: ArgumentParser would take it for an option with a value of its own.
    static func separatingOptions(_ arguments: [String]) -> [String] {
        let own = arguments.prefix { $0 != "--" }
        return own.flatMap { $0.hasPrefix("-o") && $0 != "-o" ? ["-o", String($0.dropFirst(2))] : [$0] }
            + arguments.dropFirst(own.count)
    }

    func run() throws {
        if wantsHelp { return Console.say(HelpText.text) }
        try Daemon(MountPlan(self)).run()
    }
}
