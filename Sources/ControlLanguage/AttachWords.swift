/// The words behind `attach PATH`: what the request says, not yet judged.
///
/// Whether flags, provider flags and version are ones that we have is for the attach itself to decide, as on Windows; here they
/// are numbers.
public struct AttachWords: Hashable, Sendable {
    /// What the content of the image is said to be.
    public enum ImageType: String, Hashable, Sendable, CaseIterable {
        /// Whatever the content shows.
        case automatic = "auto"
        case vhd
        case vhdx
        case vhdSet = "vhdset"
        case iso
        case raw
    }

    /// Who is to have access to the disk.
    public enum Access: Hashable, Sendable {
        /// Nothing said: as the image file (NULL security descriptor).
        case asImage
        /// A security descriptor in SDDL, not yet looked at.
        case descriptor(Word)
        /// Ids and permission bits (0 to 0o777); what is nil is as the image file has it.
        case posix(owner: UInt32?, group: UInt32?, mode: UInt16?)
    }

    /// The bits of all flag words and of `flags=`, combined.
    public var flags: UInt32 = 0
    /// ProviderSpecificFlags of AttachVirtualDisk.
    public var providerFlags: UInt32 = 0
    /// The version of ATTACH_VIRTUAL_DISK_PARAMETERS.
    public var version: UInt32 = 1
    /// What the image is said to be.
    public var type = ImageType.automatic
    /// The name that the attachment shall have; nil: derived from the file name.
    public var name: AttachmentName?
    /// Who is to have access.
    public var access = Access.asImage
    /// Where the parents of a differencing disk are, in the order of the request.
    public var parents: [Word] = []
    /// Whether a compressed image file is fine.
    public var supportsCompressedVolumes = false
    /// Whether an encrypted image file is fine.
    public var supportsEncryptedFiles = false
    /// Whether read/write is fine on a host file system without locks.
    public var omitsLock = false
    /// Whether children of the disk may be made worthless by writing to it.
    public var breaksChildren = false

    /// What no word at all means: read/write, everything else by default.
    public init() {}

    /// The shortest words that mean the same, in the order of the help.
    public var words: [Word] {
        var texts: [String] = []
        var unnamed = flags
        for flag in AttachFlagName.all where flags & flag.bit != 0 {
            texts += flag.words.prefix(1)
            unnamed &= ~flag.bit
        }
        if unnamed != 0 { texts.append("flags=0x" + String(unnamed, radix: 16)) }
        if providerFlags != 0 { texts.append("provider-flags=0x" + String(providerFlags, radix: 16)) }
        if version != 1 { texts.append("version=\(version)") }
        if type != .automatic { texts.append("type=\(type.rawValue)") }
        if let name { texts.append("name=\(name)") }
        if case .posix(let owner, let group, let mode) = access {
            if let owner { texts.append("owner=\(owner)") }
            if let group { texts.append("group=\(group)") }
            if let mode { texts.append("mode=0" + String(mode, radix: 8)) }
        }
        for (word, isSet) in Self.switches where self[keyPath: isSet] { texts.append(word) }

        var words = texts.map { Word(unchecked: $0.utf8) }
        if case .descriptor(let sddl) = access { words.append(Word(unchecked: "sd=".utf8 + sddl.bytes)) }
        words += parents.map { Word(unchecked: "parent=".utf8 + $0.bytes) }
        return words
    }

    /// The words that turn something on and are no flags.
    static var switches: [(word: String, isSet: WritableKeyPath<AttachWords, Bool>)] {
        [
            ("support-compressed-volumes", \.supportsCompressedVolumes),
            ("support-encrypted-files", \.supportsEncryptedFiles),
            ("no-lock", \.omitsLock),
            ("break-children", \.breaksChildren),
        ]
    }
}
