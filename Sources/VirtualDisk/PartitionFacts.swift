internal import PartitionTables
internal import Volumes

/// What `info` and `info.json` tell about a part of a disk.
struct PartitionFacts: Encodable, Sendable {
    /// What it holds.
    struct FileSystem: Encodable, Sendable {
        var type: String
        var label: String?
        var uuid: String?
        var states: [String]
        /// Whether `mounts/` shows its files.
        var shown: Bool
        var recipe: String?
    }

    /// The number behind `p`; 0 is the whole disk.
    var number: Int
    var offset: UInt64
    var length: UInt64
    var type: String?
    var typeName: String?
    var name: String?
    var guid: String?
    var problem: String?
    var fileSystem: FileSystem?

    enum CodingKeys: String, CodingKey {
        case number, offset, length, type, name, guid, problem
        case typeName = "type_name"
        case fileSystem = "file_system"
    }

    /// Everything that is known of a disk's parts, with those that can't be offered.
    static func all(_ contents: DiskContents) -> [PartitionFacts] {
        let identities = Dictionary(contents.volumes.map { ($0.number, $0) }, uniquingKeysWith: { first, _ in first })
        let whole = identities[0].map { PartitionFacts(number: 0, range: $0.range, identity: $0.identity) }
        let partitions = contents.table?.partitions ?? []
        return (whole.map { [$0] } ?? [])
            + partitions.map { partition in
                let identity = partition.problem == nil ? identities[partition.number]?.identity : nil
                var facts = PartitionFacts(number: partition.number, range: partition.range, identity: identity)
                facts.type = partition.type
                facts.typeName = partition.typeName
                facts.name = partition.name
                facts.guid = partition.guid
                facts.problem = partition.problem
                return facts
            }
    }

    private init(number: Int, range: Range<UInt64>, identity: VolumeIdentity?) {
        self.number = number
        offset = range.lowerBound
        length = range.upperBound - range.lowerBound
        fileSystem = identity.map { identity in
            FileSystem(
                type: identity.type,
                label: identity.label,
                uuid: identity.uuid,
                states: identity.states,
                shown: identity.reader != VolumeIdentity.Reader.none,
                recipe: identity.recipe
            )
        }
    }

    /// The line of `info`.
    var text: String {
        var words = ["p\(number) at \(offset), \(length) bytes"]
        if let type { words.append("type \(type)" + (typeName.map { " (\($0))" } ?? "")) }
        if let name, !name.isEmpty { words.append("name \"\(name)\"") }
        if let guid { words.append("guid \(guid)") }
        if let problem { words.append("not offered: \(problem)") }
        if let fileSystem {
            words.append("holds \(fileSystem.type)")
            if let label = fileSystem.label { words.append("label \"\(label)\"") }
            if let uuid = fileSystem.uuid { words.append("uuid \(uuid)") }
            words += fileSystem.states
            if let recipe = fileSystem.recipe { words.append("to open it: \(recipe)") }
        }
        return words.joined(separator: ", ")
    }
}
