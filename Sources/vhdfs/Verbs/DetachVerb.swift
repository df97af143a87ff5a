internal import ArgumentParser
internal import ControlLanguage

/// `vhdfs detach NAME|IMAGE [force]`.
struct DetachVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "detach",
        _superCommandName: "vhdfs",
        abstract: "Detach a disk; when it returns, everything is in the image and the image is free.",
        usage: "vhdfs detach [--at <mountpoint>] <name|image> [force]"
    )

    @OptionGroup var place: Place

    @Argument(help: "The disk's name in 'attached', or the path of its image.")
    var target: String

    @Argument(help: "'force': also with files of it open; they give ENXIO from then on.")
    var force: String?

    func validate() throws {
        if let force, force != "force" { throw ValidationError("unexpected word '\(force)'; there is only 'force'") }
    }

    func run() throws {
        let fileSystem = try MountedFileSystem(at: place.mountPoint)
        _ = try fileSystem.ask(.detach(target: Target.word(target, in: fileSystem), force: force != nil))
    }
}
