internal import BlockDevice
internal import ControlLanguage
internal import FoundationEssentials
internal import PartitionTables
internal import Platform
internal import SystemPackage

/// What `info`, `info.json` and `list` tell about an attached disk. Keys are only ever added (CONTRACT.md §1).
public struct AttachmentFacts: Encodable, Sendable {
    /// One image of the chain, the leaf first.
    public struct ChainLink: Encodable, Sendable {
        var path: String
        var pathBase64: String?
        var identifier: String?
        var resolvedBy: String

        enum CodingKeys: String, CodingKey {
            case path, identifier
            case pathBase64 = "path_base64"
            case resolvedBy = "resolved_by"
        }
    }

    var name: String
    var path: String
    var pathBase64: String?
    var format: String
    var subtype: String
    var virtualSize: UInt64
    var logicalSectorSize: Int
    var physicalSectorSize: Int
    var blockSize: UInt64
    var identifier: String?
    var readOnly: Bool
    var flags: [String]
    var lifetime: String
    var attachedByUID: UInt32
    var attachedAt: String
    /// `attached`, `ending`; others may say something else of what no mount shows.
    public var state: String
    var chain: [ChainLink]
    var logReplayedEntries: Int
    var warnings: [String]
    var partitionTable: PartitionTableFacts?
    var partitions: [PartitionFacts]

    /// How the disk is divided.
    struct PartitionTableFacts: Encodable, Sendable {
        var type: String
        var identifier: String?
        var sectorSize: Int
        var problems: [String]

        enum CodingKeys: String, CodingKey {
            case type, identifier, problems
            case sectorSize = "sector_size"
        }
    }

    enum CodingKeys: String, CodingKey {
        case name, path, format, subtype, identifier, flags, lifetime, state, chain, warnings, partitions
        case pathBase64 = "path_base64"
        case virtualSize = "virtual_size"
        case logicalSectorSize = "logical_sector_size"
        case physicalSectorSize = "physical_sector_size"
        case blockSize = "block_size"
        case readOnly = "read_only"
        case attachedByUID = "attached_by_uid"
        case attachedAt = "attached_at"
        case logReplayedEntries = "log_replayed_entries"
        case partitionTable = "partition_table"
    }

    init(_ attachment: Attachment) {
        let disk = attachment.disk
        name = attachment.name.text
        (path, pathBase64) = Self.shown(attachment.imagePath)
        format = disk.kind.rawValue
        subtype = disk.subtype
        virtualSize = attachment.size
        logicalSectorSize = disk.logicalSectorSize
        physicalSectorSize = disk.physicalSectorSize
        blockSize = disk.blockSize
        identifier = disk.identifier
        readOnly = attachment.isReadOnly
        flags = attachment.flags.words
        lifetime = attachment.lifetime.word
        attachedByUID = attachment.requester.credentials.user
        attachedAt = Date(timeIntervalSince1970: Double(attachment.attachedAt)).formatted(.iso8601)
        state = attachment.isAttached ? "attached" : "ending"
        chain = disk.links.map { link in
            let (path, base64) = Self.shown(link.path)
            let identifier = link.layer?.identityText ?? disk.identifier
            return ChainLink(path: path, pathBase64: base64, identifier: identifier, resolvedBy: link.origin)
        }
        logReplayedEntries = disk.links.reduce(0) { $0 + ($1.layer?.replayedEntries ?? 0) }
        warnings = disk.warnings
        // A list of all disks is not to hang with one of them.
        let known = attachment.contents(patience: .seconds(5))
        let contents = known ?? DiskContents()
        warnings += contents.problems
        if known == nil { warnings.append("its image does not answer: what is on the disk is not known") }
        partitionTable = contents.table.map { table in
            PartitionTableFacts(
                type: table.kind.rawValue,
                identifier: table.identifier,
                sectorSize: table.sectorSize,
                problems: table.problems
            )
        }
        partitions = PartitionFacts.all(contents)
        if let loss = attachment.loss { warnings.append(loss) }
        if !attachment.left.isEmpty { warnings.append(LeftRequests.text) }
        if let refusal = disk.writeGate.refusal { warnings.append("\(refusal)") }
        if attachment.flags.contains(.bypassDefaultEncryptionPolicy) {
            warnings.append("bypass-default-encryption-policy has no effect on this host")
        }
    }

    /// A path as text; one that isn't UTF-8 has those bytes as `\xNN`, and stands beside it in base64.
    private static func shown(_ path: FilePath) -> (String, String?) {
        let text = path.string
        if FilePath(text) == path { return (text, nil) }
        return (escapingInvalidUTF8(path.bytes), Data(path.bytes).base64EncodedString())
    }
}

extension AttachmentFacts {
    /// The JSON text of `info.json`, with a newline at its end.
    public var json: [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        // Only strings and integers: there is nothing that could not be encoded.
        let data = (try? encoder.encode(self)) ?? Data("{}".utf8)
        return Array(data) + [UInt8(ascii: "\n")]
    }

    /// The `key: value` lines of `info`.
    public var text: [UInt8] {
        var lines: [(String, String)] = [
            ("name", name), ("path", path),
        ]
        if let pathBase64 { lines.append(("path_base64", pathBase64)) }
        lines += [
            ("format", format), ("subtype", subtype), ("virtual_size", "\(virtualSize)"),
            ("logical_sector_size", "\(logicalSectorSize)"), ("physical_sector_size", "\(physicalSectorSize)"),
            ("block_size", "\(blockSize)"),
            ("identifier", identifier ?? "none"), ("read_only", readOnly ? "yes" : "no"),
            ("flags", flags.isEmpty ? "none" : flags.joined(separator: " ")), ("lifetime", lifetime),
            ("attached_by_uid", "\(attachedByUID)"), ("attached_at", attachedAt), ("state", state),
        ]
        for link in chain {
            lines.append(("chain", "\(link.path) (\(link.identifier ?? "no identifier"), found by \(link.resolvedBy))"))
        }
        lines.append(("log_replayed_entries", "\(logReplayedEntries)"))
        if let table = partitionTable {
            let identifier = table.identifier.map { ", identifier \($0)" } ?? ""
            lines.append(("partition_table", "\(table.type)\(identifier), sectors of \(table.sectorSize) bytes"))
            lines += table.problems.map { ("partition_table", "problem: \($0)") }
        } else {
            lines.append(("partition_table", "none"))
        }
        lines += partitions.isEmpty ? [("partitions", "none")] : partitions.map { ("partitions", $0.text) }
        lines += (warnings.isEmpty ? ["none"] : warnings).map { ("warnings", $0) }
        return lines.flatMap { key, value in
            // Paths come from images too: none of them ends a line or steers a terminal.
            Array("\(key): ".utf8) + escapingControls(Array(value.utf8)) + [UInt8(ascii: "\n")]
        }
    }
}

extension Attachment {
    /// What is known of it now.
    public var facts: AttachmentFacts { AttachmentFacts(self) }
}
