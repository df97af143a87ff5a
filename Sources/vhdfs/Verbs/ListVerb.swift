internal import ArgumentParser
internal import ControlLanguage

/// `vhdfs list [--json]`.
struct ListVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        _superCommandName: "vhdfs",
        abstract: "Name all attached disks, each with its image and the words it was attached with."
    )

    @OptionGroup var place: Place

    @Flag(name: .customLong("json"), help: "Print an array of what info.json says of each.")
    var isJSON = false

    func run() throws {
        let fileSystem = try MountedFileSystem(at: place.mountPoint)
        guard isJSON else {
            for line in try fileSystem.ask(.list).dropLast() { Console.write(line + [UInt8(ascii: "\n")]) }
            return
        }
        let objects = try fileSystem.names().compactMap { try fileSystem.json(of: $0) }
        Console.write(Array("[".utf8) + objects.joined(separator: ",\n".utf8) + Array("]\n".utf8))
    }
}
