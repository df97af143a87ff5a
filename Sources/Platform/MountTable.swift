public import SystemPackage

/// A mounted file system, as `/proc/self/mountinfo` has it.
public struct Mount: Sendable, Hashable {
    /// The device number of its files, as `FileIdentity.device` has it (a subvolume's may differ).
    public var device: UInt64
    /// Where it is mounted.
    public var mountPoint: FilePath
    /// What part of the file system is mounted; `/` unless it is a bind mount.
    public var root: FilePath
    /// The type, with its subtype: `ext4`, `fuse.vhdfs`.
    public var type: String
    /// What is mounted: a device, a name, or any text.
    public var source: String
    /// The options of this mount: `rw`, `nosuid` …
    public var options: [String]
    /// The options of the file system: `rw`, `user_id=0`, `max_read=131072` …
    public var superOptions: [String]

    /// The user who mounted a FUSE file system (`user_id=`).
    public var user: UInt32? {
        superOptions.lazy.compactMap { option in
            option.hasPrefix("user_id=") ? UInt32(option.dropFirst("user_id=".count)) : nil
        }.first
    }

    /// All mounts that this process sees, in the order of mounting: of two at one place the later one is on top.
    public static func all() throws(Errno) -> [Mount] {
        let text = try FilePath("/proc/self/mountinfo").contents(limit: 64 << 20)
        return text.split(separator: UInt8(ascii: "\n")).compactMap { Mount(line: $0) }
    }

    /// The mount on top at a mount point; nil when nothing is mounted just there. The path is compared, and not looked at: it may hang.
    public static func at(_ mountPoint: FilePath) throws(Errno) -> Mount? {
        try all().last { $0.mountPoint == mountPoint }
    }

    /// Reads a line: `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 … - ext3 /dev/root rw,errors=continue`.
    init?(line: some Sequence<UInt8>) {
        let fields = Array(line).split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        // Between the sixth field and the dash stand any number of others.
        guard let dash = fields.dropFirst(6).firstIndex(of: [UInt8(ascii: "-")]), fields.count >= dash + 4 else {
            return nil
        }
        let numbers = fields[2].split(separator: UInt8(ascii: ":")).map { UInt32(String(decoding: $0, as: UTF8.self)) }
        guard numbers.count == 2, let major = numbers[0], let minor = numbers[1] else { return nil }
        device = Self.device(major: UInt64(major), minor: UInt64(minor))
        root = FilePath(bytes: Self.unescaped(fields[3]))
        mountPoint = FilePath(bytes: Self.unescaped(fields[4]))
        options = Self.list(fields[5])
        type = String(decoding: Self.unescaped(fields[dash + 1]), as: UTF8.self)
        source = String(decoding: Self.unescaped(fields[dash + 2]), as: UTF8.self)
        superOptions = Self.list(fields[dash + 3])
    }

    /// As glibc's `makedev` packs them.
    private static func device(major: UInt64, minor: UInt64) -> UInt64 {
        (major & 0xFFFF_F000) << 32 | (major & 0xFFF) << 8 | (minor & 0xFFFF_FF00) << 12 | minor & 0xFF
    }

    private static func list(_ field: ArraySlice<UInt8>) -> [String] {
        field.split(separator: UInt8(ascii: ",")).map { String(decoding: unescaped($0), as: UTF8.self) }
    }

    /// Space, tab, newline, backslash and `#` stand as a backslash and three octal digits.
    private static func unescaped(_ field: ArraySlice<UInt8>) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = field
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return bytes
    }
}
