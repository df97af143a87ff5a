/// A flag of AttachVirtualDisk, and the words for it (`ATTACH_VIRTUAL_DISK_FLAG` of virtdisk.h).
public struct AttachFlagName: Hashable, Sendable {
    /// The flag's bit; 0 for NONE.
    public let bit: UInt32
    /// The name in virtdisk.h.
    public let windowsName: String
    /// The words for it in a request, the usual one first; NONE has none.
    public let words: [String]

    /// NONE, and the flags that AttachVirtualDisk documents, by rising bit.
    public static let all = [
        AttachFlagName(0x00, "NONE"),
        AttachFlagName(0x01, "READ_ONLY", "readonly", "read-only", "ro"),
        AttachFlagName(0x02, "NO_DRIVE_LETTER", "no-drive-letter"),
        AttachFlagName(0x04, "PERMANENT_LIFETIME", "permanent"),
        AttachFlagName(0x08, "NO_LOCAL_HOST", "no-local-host"),
        AttachFlagName(0x10, "NO_SECURITY_DESCRIPTOR", "no-security-descriptor"),
        AttachFlagName(0x20, "BYPASS_DEFAULT_ENCRYPTION_POLICY", "bypass-default-encryption-policy"),
    ]

    private init(_ bit: UInt32, _ name: String, _ words: String...) {
        self.bit = bit
        self.windowsName = "ATTACH_VIRTUAL_DISK_FLAG_" + name
        self.words = words
    }

    /// The flag that a word of a request names, by its Windows name or one of ours.
    static func named(_ word: String) -> AttachFlagName? {
        all.first { $0.windowsName == word || $0.words.contains(word) }
    }
}
