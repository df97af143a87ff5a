internal import ArgumentParser
internal import ControlLanguage
internal import Platform
internal import SystemPackage
internal import VirtualDisk

/// `vhdfs info NAME|IMAGE [--json]`.
struct InfoVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info",
        _superCommandName: "vhdfs",
        abstract: "Tell about an attached disk, or about an image that is not attached.",
        usage: "vhdfs info [--at <mountpoint>] [--json] <name|image>"
    )

    @OptionGroup var place: Place

    @Flag(name: .customLong("json"), help: "Print what info.json says.")
    var isJSON = false

    @Argument(help: "The disk's name in 'attached', or the path of an image.")
    var target: String

    func run() throws {
        do throws(AttachError) {
            try tellAttached(MountedFileSystem(at: place.mountPoint))
        } catch {
            // Nothing is mounted, it is not attached there, or that mount is just going: what is in the file can be told all the same.
            guard place.mountPoint == nil, isPath else { throw error }
            let inspection = try ImageInspection(UserPath.absolute(target))
            Console.write(isJSON ? inspection.json : inspection.text)
        }
    }

    /// Whether the target can only be a file.
    private var isPath: Bool { target.contains("/") || Target.file(target) != nil }

    private func tellAttached(_ fileSystem: MountedFileSystem) throws(AttachError) {
        let answer = try fileSystem.ask(.info(target: Target.word(target, in: fileSystem)))
        guard isJSON, let name = Target.name(inAnswer: answer) else {
            for line in answer.dropLast() { Console.write(line + [UInt8(ascii: "\n")]) }
            return
        }
        guard let json = try fileSystem.json(of: name) else {
            throw AttachError(.notFound, "not attached any more", path: name)
        }
        Console.write(json + [UInt8(ascii: "\n")])
    }
}
