internal import ControlLanguage
internal import Logging
internal import Platform
internal import SystemPackage

/// Everything that a mount needs to know; made of the command line, and of nothing else.
struct MountPlan {
    /// The images to attach, absolute.
    var images: [FilePath]
    /// Where to mount, absolute but not yet looked at.
    var mountPoint: FilePath
    /// How the images are attached.
    var words: AttachWords
    /// Nothing may be attached read/write.
    var isReadOnly: Bool
    /// Where permanent attachments are recorded; nil where no such place is known.
    var stateDirectory: FilePath?
    /// Who may attach beside root and the mounting user.
    var manageGroup: UInt32?
    /// Modes and owners of files in volumes count as they stand.
    var keepsPermissions: Bool
    /// The kernel may read the files of ISO and raw disks by itself.
    var lendsFiles: Bool
    /// How long a request may wait for a host that does nothing; nil: for ever.
    var patience: Duration?
    /// What the local times of FAT are in.
    var timeZone: String
    /// The first field of a line of `/proc/mounts`.
    var fileSystemName: String
    /// Options for libfuse and the kernel.
    var fuseOptions: [String]
    var isForeground: Bool
    var logLevel: Logger.Level
}

extension MountPlan {
    /// Makes a plan of a command line.
    init(_ command: MountCommand) throws(UsageError) {
        guard let mountPoint = command.operands.last, !mountPoint.isEmpty else {
            throw UsageError("where to mount? The last word is the mount point")
        }
        let options = try OptionList(command.options)
        let operands = command.operands.dropLast().filter { !$0.isEmpty }
        let images = operands.filter { $0 != "none" }
        self.images = images.map(UserPath.absolute)
        self.mountPoint = UserPath.absolute(mountPoint)
        isReadOnly = command.isReadOnly || options.isReadOnly
        words = try Self.words(options.attachWords, isReadOnly: isReadOnly)
        stateDirectory =
            (command.stateDirectory ?? options.stateDirectory).map(UserPath.absolute) ?? StateDirectory.standard
        manageGroup = try (command.manageGroup ?? options.manageGroup).map(Self.group)
        keepsPermissions = options.keepsPermissions
        lendsFiles = options.lendsFiles
        let seconds = options.hostTimeout ?? Self.hostTimeout
        patience = seconds > 0 ? .seconds(seconds) : nil
        timeZone = try options.timeZone.map(Self.timeZone) ?? "UTC"
        // As fstab has it in its first field: `mount -a` compares.
        fileSystemName = options.fileSystemName ?? Self.fileSystemName(operands, images: self.images)
        fuseOptions = options.fuse
        isForeground = command.isForeground
        guard let level = Logger.Level(rawValue: command.logLevel) else {
            let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw UsageError("unknown log level '\(command.logLevel)'; there are \(levels)")
        }
        logLevel = level
    }

    /// In seconds. Storage that is about to fail tries for a minute or two.
    private static let hostTimeout = 120

    private static func fileSystemName(_ operands: [String], images: [FilePath]) -> String {
        guard operands.count == 1, let operand = operands.first else { return "vhdfs" }
        return images.first?.string ?? operand
    }

    private static func words(_ words: [Word], isReadOnly: Bool) throws(UsageError) -> AttachWords {
        do {
            var words = try AttachWords(words)
            if isReadOnly { words.isReadOnly = true }
            words.parents = words.parents.map(UserPath.absolute)
            return words
        } catch {
            throw UsageError(error.text)
        }
    }

    /// A name of the time zone database, or a rule as in the variable `TZ`.
    private static func timeZone(_ text: String) throws(UsageError) -> String {
        let isRule = text.first?.isLetter == true && text.contains(where: \.isNumber)
        let isName =
            !text.hasPrefix("/") && !text.contains("..") && Surroundings.exists(FilePath("/usr/share/zoneinfo/\(text)"))
        guard isName || isRule || text == "UTC" else {
            throw UsageError("tz=: there is no time zone '\(text)'; give one like Europe/Berlin, or a rule like UTC-2")
        }
        return text
    }

    private static func group(_ text: String) throws(UsageError) -> UInt32 {
        guard Credentials.isRoot else {
            throw UsageError("--manage-group: only root can let others attach; you serve nobody but yourself and root")
        }
        guard let group = UInt32(text) ?? Surroundings.group(named: text) else {
            throw UsageError("--manage-group: there is no group '\(text)'")
        }
        return group
    }
}
