internal import ControlLanguage
internal import Logging
internal import Platform
internal import SystemPackage
internal import VirtualDisk

/// What can be told about an image that no file system shows: it is attached for a moment, read-only, to nothing.
struct ImageInspection {
    /// What `info` says.
    let text: [UInt8]
    /// What `info.json` says.
    let json: [UInt8]

    /// Looks into an image, with the rights of this process.
    init(_ image: FilePath, _ words: AttachWords = AttachWords()) throws(AttachError) {
        var words = words
        words.isReadOnly = true
        let credentials: Credentials
        do {
            credentials = try Credentials.current
        } catch {
            throw AttachError(error, path: image)
        }
        let table = AttachmentTable(
            AttachmentTable.Configuration(
                policy: ManagePolicy(mountingUser: credentials.user),
                opener: DirectOpener(),
                journal: .failure(AttachError(.notSupported, "nothing is recorded without a mount")),
                isReadOnly: true,
                mountPoint: "/"
            ),
            log: Logger(label: "vhdfs") { _ in SwiftLogNoOpLogHandler() }
        )
        defer { table.endAll() }
        let attachment = try table.attach(
            image,
            words,
            for: Requester(credentials: credentials),
            lifetime: .fileSystem
        )
        var facts = attachment.facts
        facts.state = "not attached"
        text = facts.text
        json = facts.json
    }

    /// `vhd`, `iso` or `raw`.
    var format: String? {
        let key = "format: "
        let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
        return lines.first { $0.hasPrefix(key) }.map { String($0.dropFirst(key.count)) }
    }
}
