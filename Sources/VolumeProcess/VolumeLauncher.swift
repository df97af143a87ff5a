public import Logging
public import SystemPackage

/// How the processes that read volumes are started, and what they are allowed.
public struct VolumeLauncher: Sendable {
    /// The program: `vhdfs-volume`.
    public var program: FilePath
    /// The time zone that FAT's local times are in, as in the variable `TZ`.
    public var timeZone: String
    /// How long a request may keep a process busy; then it is killed.
    public var patience: Duration
    /// How long a process without requests is kept.
    public var idleLimit: Duration
    /// Where the end of a process is told.
    public var log: Logger

    /// Makes a launcher.
    public init(
        program: FilePath,
        timeZone: String = "UTC",
        patience: Duration = .seconds(20),
        idleLimit: Duration = .seconds(60),
        log: Logger
    ) {
        self.program = program
        self.timeZone = timeZone
        self.patience = patience
        self.idleLimit = idleLimit
        self.log = log
    }
}
