internal import ControlLanguage

/// ATTACH_VIRTUAL_DISK_FLAG of virtdisk.h, as far as AttachVirtualDisk documents it.
public struct AttachFlags: OptionSet, Hashable, Sendable {
    /// The bits, also ones that have no meaning here.
    public let rawValue: UInt32

    /// Takes any bits.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// The disk is write-protected.
    public static let readOnly = AttachFlags(rawValue: 0x01)
    /// The volumes of the disk are not made accessible by themselves.
    public static let noDriveLetter = AttachFlags(rawValue: 0x02)
    /// The attachment ends only when it is detached.
    public static let permanentLifetime = AttachFlags(rawValue: 0x04)
    /// Only the whole disk: no partitions, no volumes.
    public static let noLocalHost = AttachFlags(rawValue: 0x08)
    /// Nobody but the mounting user has access; neither a given descriptor nor the image's counts.
    public static let noSecurityDescriptor = AttachFlags(rawValue: 0x10)
    /// Volumes are not encrypted by policy; there is no such policy here.
    public static let bypassDefaultEncryptionPolicy = AttachFlags(rawValue: 0x20)

    /// All flags that AttachVirtualDisk documents; any other bit is ERROR_INVALID_PARAMETER.
    public static let valid = AttachFlags(rawValue: 0x3F)

    /// Whether there is no bit without a meaning.
    public var isValid: Bool { isSubset(of: .valid) }

    /// The words of a request for the flags that are set, by rising bit.
    public var words: [String] { named.compactMap(\.words.first) }

    /// The names in virtdisk.h of the flags that are set, by rising bit.
    public var windowsNames: [String] { named.map(\.windowsName) }

    private var named: [AttachFlagName] {
        AttachFlagName.all.filter { rawValue & $0.bit != 0 }
    }
}
