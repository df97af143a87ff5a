/// Where and how a tree is mounted.
public struct MountOptions: Sendable, Hashable {
    /// The directory that the tree covers.
    public var mountPoint: String
    /// The first field of a line of `/proc/mounts`.
    public var fileSystemName: String
    /// Further options of libfuse and of `mount(8)`, one each: `allow_other`, `allow_root`, `auto_unmount`, `max_read=65536` …
    public var extra: [String]
    /// Let the kernel read files of the host by itself where a tree lends them. It then knows neither their size in the tree nor an end of
    /// theirs before their last close.
    public var lendsFiles: Bool

    /// How long a request may get nowhere before its caller is sent away with ETIMEDOUT; nil: for ever.
    public var patience: Duration?

    /// Makes a set of options.
    public init(
        mountPoint: String,
        fileSystemName: String = "vhdfs",
        extra: [String] = [],
        lendsFiles: Bool = false,
        patience: Duration? = nil
    ) {
        self.mountPoint = mountPoint
        self.fileSystemName = fileSystemName
        self.extra = extra
        self.lendsFiles = lendsFiles
        self.patience = patience
    }

    /// The largest write that the server takes, in bytes: 256 pages, the most that the kernel sends.
    static let maximumWrite = 1 << 20

    /// The largest read that the server answers, in bytes: four pages less, so that a reply fits into a pipe (256 pages without special rights)
    /// with its header, and with bytes that begin in the middle of a page.
    static let maximumRead = maximumWrite - 4 * 4096

    /// The largest read of this mount: `max_read=`, when that is smaller.
    ///
    /// The number must be the same on the command line and in the answer to INIT, or libfuse gives up.
    var readLimit: Int {
        let wish = extra.last { $0.hasPrefix("max_read=") }.flatMap { Int($0.dropFirst("max_read=".count)) }
        return min(max(wish ?? Self.maximumRead, 4096), Self.maximumRead)
    }

    /// Whether users other than the one who mounts are to see the tree.
    var allowsOthers: Bool {
        extra.contains("allow_other") || extra.contains("allow_root")
    }

    /// The command line that libfuse parses.
    func libraryArguments() throws(FUSEError) -> [String] {
        if extra.contains("ro") {
            throw .invalidOption("'ro' would make the whole tree unwritable, 'ctl' included")
        }
        let passed = extra.filter { !$0.hasPrefix("max_read=") }
        let fixed = ["default_permissions", "subtype=vhdfs", "max_read=\(readLimit)"]
        let options = ["fsname=\(fileSystemName)"] + passed + fixed
        return ["vhdfs"] + options.flatMap { ["-o", Self.escape($0)] }
    }

    /// An option is not split at an escaped comma.
    private static func escape(_ option: String) -> String {
        String(option.flatMap { $0 == "," || $0 == "\\" ? ["\\", $0] : [$0] })
    }
}
