internal import ControlLanguage
internal import FoundationEssentials
internal import Platform
internal import SystemPackage

/// What is kept of a permanent attachment, so that it can be made again after a restart.
public struct PermanentRecord: Codable, Sendable, Hashable {
    /// Of the record's own form.
    var version = 1
    /// The name in `attached/`.
    public var name: String
    /// The whole request as `ctl` would take it, in base64: paths need not be UTF-8.
    var request: Data
    /// The same for people who look into the file.
    var readableRequest: String
    /// With whose rights it is attached again.
    public var user: UInt32
    var group: UInt32
    var groups: [UInt32]
    /// The image's own identity: another image of that path is not attached.
    var identity: String
    /// The file system it belongs to.
    var mountPoint: String

    enum CodingKeys: String, CodingKey {
        case version, name, request, user, group, groups, identity
        case readableRequest = "readable_request"
        case mountPoint = "mount_point"
    }

    init(_ attachment: Attachment, mountPoint: FilePath) {
        var words = attachment.words
        words.name = attachment.name
        let path = Word(attachment.imagePath.bytes) ?? Word(attachment.requestedPath.bytes)
        let line = path.map { Request.attach(path: $0, words: words).line } ?? []
        name = attachment.name.text
        request = Data(line)
        readableRequest = String(decoding: line, as: UTF8.self)
        user = attachment.requester.credentials.user
        group = attachment.requester.credentials.group
        groups = attachment.requester.credentials.supplementaryGroups
        identity = attachment.identity
        self.mountPoint = mountPoint.string
    }

    /// The rights of the user who asked.
    var requester: Requester {
        Requester(credentials: Credentials(user: user, group: group, supplementaryGroups: groups))
    }
}

extension Attachment {
    /// What tells this image from another one that later has the same path: the id in the image, or else the file itself.
    var identity: String {
        if let identifier = disk.identifier { return "\(disk.kind.rawValue):\(identifier)" }
        let status = disk.leaf.status
        let born = (try? disk.leaf.descriptor.birthTime()) ?? nil
        return
            "\(disk.kind.rawValue):inode \(status.identity.inode), made at \(born.map { "\($0)" } ?? "an unknown time")"
    }
}
