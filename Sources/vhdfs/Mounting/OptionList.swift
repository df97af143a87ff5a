internal import ControlLanguage

/// What the lists behind `-o` say.
struct OptionList: Equatable {
    /// Options of libfuse and of the kernel, to be handed on.
    var fuse: [String] = []
    /// Words that all operands are attached with.
    var attachWords: [Word] = []
    /// `ro`; the last of `ro` and `rw` counts.
    var isReadOnly = false
    /// `state-dir=`.
    var stateDirectory: String?
    /// `manage-group=`.
    var manageGroup: String?
    /// `inner-permissions`.
    var keepsPermissions = false
    /// `passthrough`.
    var lendsFiles = false
    /// `host-timeout=`, in seconds; 0: for ever.
    var hostTimeout: Int?
    /// `tz=`.
    var timeZone: String?
    /// `fsname=`.
    var fileSystemName: String?

    /// Reads the lists, one string for each `-o`.
    ///
    /// Options are split at commas; a backslash takes the meaning from a comma or a backslash.
    init(_ lists: [String]) throws(UsageError) {
        for list in lists {
            for option in Self.split(list) { try take(option) }
        }
    }

    private mutating func take(_ option: String) throws(UsageError) {
        let (key, value) = Self.keyAndValue(option)
        switch (key, value) {
        case ("ro", nil): isReadOnly = true
        case ("rw", nil): isReadOnly = false
        case ("inner-permissions", nil): keepsPermissions = true
        case ("passthrough", nil): lendsFiles = true
        case ("host-timeout", let value?):
            guard let seconds = Int(value), (0...86400).contains(seconds) else {
                throw UsageError(
                    "wrong value in '\(option)': host-timeout= takes seconds, at most a day; 0 waits for ever"
                )
            }
            hostTimeout = seconds
        case ("tz", let value?) where !value.isEmpty: timeZone = value
        case ("state-dir", let value?) where !value.isEmpty: stateDirectory = value
        case ("manage-group", let value?) where !value.isEmpty: manageGroup = value
        case ("fsname", let value?) where !value.isEmpty: fileSystemName = value
        case ("subtype", "vhdfs"): break
        case ("max_read", let value?) where UInt32(value) == nil:
            throw UsageError("wrong value in '\(option)': max_read= takes a number of bytes")
        default: try takeForeign(option, key, hasValue: value != nil)
        }
    }

    private mutating func takeForeign(_ option: String, _ key: String, hasValue: Bool) throws(UsageError) {
        if hasValue ? Self.fuseKeys.contains(key) : Self.fuseWords.contains(key) {
            fuse.append(option)
        } else if let word = Word(option), AttachWords.recognizes(word) {
            attachWords.append(word)
        } else if !Self.isMeaningless(key, hasValue: hasValue) {
            throw UsageError("unknown option '\(option)' behind -o")
        }
    }

    // MARK: What is known

    /// Options of libfuse and of the kernel. Those that forbid something are handed on, the others are how things are anyway.
    private static let fuseWords: Set<String> = [
        "allow_other", "allow_root", "auto_unmount", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "sync",
        "dirsync",
    ]
    private static let fuseKeys: Set<String> = ["max_read", "context", "fscontext", "defcontext", "rootcontext"]

    /// Words of `fstab(5)`, `mount(8)` and `systemd.mount(5)` that are for others, or say what is so in any case.
    private static let meaningless: Set<String> = [
        "defaults", "auto", "noauto", "user", "nouser", "users", "owner", "group", "_netdev", "nofail", "suid", "dev",
        "exec",
        "async", "atime", "diratime", "relatime", "norelatime", "strictatime", "nostrictatime", "lazytime",
        "nolazytime",
        "default_permissions", "silent", "loud",
    ]

    private static func isMeaningless(_ key: String, hasValue: Bool) -> Bool {
        if key.hasPrefix("x-") || key.hasPrefix("X-") { return true }
        return hasValue ? key == "comment" || key == "user" : meaningless.contains(key)
    }

    // MARK: Splitting

    private static func split(_ list: String) -> [String] {
        var options: [String] = []
        var option = ""
        var isEscaped = false
        for character in list {
            if isEscaped {
                if character != ",", character != "\\" { option.append("\\") }
                option.append(character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == "," {
                options.append(option)
                option = ""
            } else {
                option.append(character)
            }
        }
        if isEscaped { option.append("\\") }
        return (options + [option]).filter { !$0.isEmpty }
    }

    private static func keyAndValue(_ option: String) -> (key: String, value: String?) {
        guard let equals = option.firstIndex(of: "=") else { return (option, nil) }
        return (String(option[..<equals]), String(option[option.index(after: equals)...]))
    }
}
