internal import ArgumentParser
internal import Platform
internal import VirtualDisk

/// The whole program: finds out what is asked for, does it, and says how it went.
enum Program {
    static let version = "0.1.0"

    /// The exit statuses of CONTRACT.md §2.
    enum Status {
        static let success: Int32 = 0
        static let failure: Int32 = 1
        static let usage: Int32 = 64
    }

    /// The verbs. Any other first word belongs to a mount, so a mount point of such a name is written `./attach`.
    private static let verbs: [String: any ParsableCommand.Type] = [
        "attach": AttachVerb.self,
        "check": CheckVerb.self,
        "detach": DetachVerb.self,
        "info": InfoVerb.self,
        "list": ListVerb.self,
        "unmount": UnmountVerb.self,
    ]

    /// Runs the program with its arguments; returns the exit status.
    static func run(_ arguments: [String]) -> Int32 {
        Surroundings.openStandardStreams()
        let verb = arguments.first.flatMap { verbs[$0] }
        let command = verb ?? MountCommand.self
        do {
            var parsed = try command.parseAsRoot(
                verb == nil ? MountCommand.separatingOptions(arguments) : Array(arguments.dropFirst())
            )
            try parsed.run()
            return Status.success
        } catch let code as ExitCode {
            return code.rawValue
        } catch let error as AttachError {
            Console.complain("\(error)")
            return Status.failure
        } catch let error as UsageError {
            return refuse(error.text, command)
        } catch {
            return explain(error, command)
        }
    }

    /// Errors and requests for help, as ArgumentParser has them.
    private static func explain(_ error: any Error, _ command: any ParsableCommand.Type) -> Int32 {
        let status = command.exitCode(for: error)
        guard status == .success else { return refuse(command.message(for: error), command) }
        Console.say(command.fullMessage(for: error))
        return Status.success
    }

    private static func refuse(_ text: String, _ command: any ParsableCommand.Type) -> Int32 {
        let name = command._commandName
        Console.complain(text)
        Console.complain("see '\(name == "vhdfs" ? name : "vhdfs \(name)") --help'")
        return Status.usage
    }
}

/// The command line can't be understood.
struct UsageError: Error {
    /// Which word is wrong, and what is accepted instead.
    var text: String

    init(_ text: String) {
        self.text = text
    }
}
