public import Logging
package import Platform
public import SystemPackage

/// Whoever answers for a volume: a process; for fuzzing, something that says what a process could say.
package protocol VolumeServant: AnyObject, Sendable {
    /// Sends bytes; waits at most until `deadline` for room.
    func send(_ bytes: [UInt8], deadline: ContinuousClock.Instant) throws(ServantProcess.Silence)

    /// Receives so many bytes, in all by `deadline`.
    func receive(_ count: Int, deadline: ContinuousClock.Instant) throws(ServantProcess.Silence) -> [UInt8]

    /// Ends it, and tells how it has ended; gives it so long to do that by itself.
    @discardableResult
    func end(patience: Duration) -> String
}

extension ServantProcess: VolumeServant {}

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
    /// Starts a program with its arguments.
    package var start: @Sendable (FilePath, [String]) throws(Errno) -> any VolumeServant = {
        (program, arguments) throws(Errno) in try ServantProcess(program, arguments)
    }

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
