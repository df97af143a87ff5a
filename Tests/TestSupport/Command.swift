@unsafe @preconcurrency internal import Glibc
internal import Platform

/// Why a helper of the tests could not do its work.
public struct TestSupportError: Error, CustomStringConvertible {
    /// What went wrong.
    public let description: String

    /// Makes the error.
    public init(_ description: String) {
        self.description = description
    }
}

/// How a process ended, and what it wrote.
public struct CommandResult: Sendable {
    /// The exit status; 128 + N if signal N ended it, as shells say.
    public let status: Int32
    /// Whether it was killed because its time was up.
    public let timedOut: Bool
    /// The bytes of its standard output.
    public let outputBytes: [UInt8]
    /// The bytes of its standard error.
    public let errorBytes: [UInt8]

    /// Whether it ended in time with status 0.
    public var succeeded: Bool { status == 0 && !timedOut }
    /// Standard output as text.
    public var output: String { String(decoding: outputBytes, as: UTF8.self) }
    /// Standard error as text.
    public var errorOutput: String { String(decoding: errorBytes, as: UTF8.self) }

    /// The result itself if the process succeeded, else an error with all that it said.
    @discardableResult
    public func checked() throws -> CommandResult {
        guard succeeded else {
            throw TestSupportError("status \(status)\(timedOut ? " (timed out)" : "")\n\(output)\n\(errorOutput)")
        }
        return self
    }
}

/// Runs a command to its end. It gets the words as they are (no shell); the program is searched for in PATH.
///
/// A process that it leaves behind (a daemon) is not waited for, even if that still holds the standard output.
///
/// - Parameters:
///   - command: the program and its arguments.
///   - input: the bytes of its standard input.
///   - environment: variables on top of those of the tests.
///   - timeout: after it, the command and its process group are killed.
@discardableResult
public func run(
    _ command: String...,
    input: [UInt8] = [],
    environment: [String: String] = [:],
    timeout: Duration = .seconds(60)
) throws -> CommandResult {
    try run(command, input: input, environment: environment, timeout: timeout)
}

/// Runs a command to its end, its words given as an array.
@discardableResult
public func run(
    _ command: [String],
    input: [UInt8] = [],
    environment: [String: String] = [:],
    timeout: Duration = .seconds(60)
) throws -> CommandResult {
    let process = try RunningCommand(command, input: NamelessFile(input), environment: environment)
    return process.wait(timeout: timeout)
}

/// A process beside the tests. Whoever starts it ends it: `defer { command.stop() }`.
public final class RunningCommand: Sendable {
    /// The process's id; it leads a process group of its own.
    public let processID: Int32
    private let output: NamelessFile
    private let errors: NamelessFile
    private let result = Locked<CommandResult?>(nil)

    /// Starts a command.
    public convenience init(_ command: [String], environment: [String: String] = [:]) throws {
        try self.init(command, input: NamelessFile([]), environment: environment)
    }

    init(_ command: [String], input: NamelessFile, environment: [String: String]) throws {
        output = try NamelessFile([])
        errors = try NamelessFile([])
        processID = try spawn(command, environment: environment, files: [input, output, errors])
    }

    /// What it has written to its standard output so far.
    public var outputSoFar: String { String(decoding: output.bytes(), as: UTF8.self) }
    /// What it has written to its standard error so far.
    public var errorOutputSoFar: String { String(decoding: errors.bytes(), as: UTF8.self) }
    /// Whether it has not ended yet.
    public var isRunning: Bool { reap(WNOHANG) == nil }

    /// Sends a signal to the process; nothing happens once it has ended.
    public func send(signal: Int32) {
        result.withLock { if $0 == nil { kill(processID, signal) } }
    }

    /// Waits for its end; kills it and its process group when `timeout` has passed.
    @discardableResult
    public func wait(timeout: Duration = .seconds(60)) -> CommandResult {
        let deadline = ContinuousClock.now + timeout
        var pause: UInt32 = 200
        while ContinuousClock.now < deadline {
            if let result = reap(WNOHANG) { return result }
            usleep(pause)
            pause = min(pause * 2, 20_000)
        }
        return killed(timedOut: true)
    }

    /// Waits until its standard output has `text` in it. False if it ended, or `timeout` passed, without.
    public func waitForOutput(_ text: String, timeout: Duration = .seconds(60)) -> Bool {
        let deadline = ContinuousClock.now + timeout
        while ContinuousClock.now < deadline {
            let hasEnded = !isRunning
            if outputSoFar.contains(text) { return true }
            if hasEnded { return false }
            usleep(1000)
        }
        return false
    }

    /// Kills it and its process group, if they are still there, and waits for its end.
    public func stop() {
        if reap(WNOHANG) == nil { killed(timedOut: false) }
    }

    @discardableResult
    private func killed(timedOut: Bool) -> CommandResult {
        kill(-processID, SIGKILL)
        while true {
            if let result = reap(0, timedOut: timedOut) { return result }
        }
    }

    private func reap(_ options: Int32, timedOut: Bool = false) -> CommandResult? {
        result.withLock { result in
            if let result { return result }
            var status: Int32 = 0
            guard unsafe waitpid(processID, &status, options) == processID else { return nil }
            let signal = status & 0x7F
            result = CommandResult(
                status: signal == 0 ? status >> 8 & 0xFF : 128 + signal,
                timedOut: timedOut,
                outputBytes: output.bytes(),
                errorBytes: errors.bytes()
            )
            return result
        }
    }
}

/// A file in memory without a name. A child writes its output there, so that nobody has to read while it runs.
final class NamelessFile: Sendable {
    let descriptor: Int32

    init(_ bytes: [UInt8]) throws {
        let name = "/vhdfs-tests.\(getpid()).\(UInt64.random(in: .min ... .max))"
        descriptor = unsafe shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0o600)
        guard descriptor >= 0 else { throw TestSupportError("shm_open: errno \(errno)") }
        unsafe shm_unlink(name)
        try append(bytes)
        lseek(descriptor, 0, SEEK_SET)
    }

    deinit {
        close(descriptor)
    }

    func append(_ bytes: [UInt8]) throws {
        var done = 0
        while done < bytes.count {
            let count = unsafe bytes[done...].withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            guard count > 0 else { throw TestSupportError("write: errno \(errno)") }
            done += count
        }
    }

    func bytes() -> [UInt8] {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_size > 0 else { return [] }
        return unsafe [UInt8](unsafeUninitializedCapacity: Int(status.st_size)) { buffer, count in
            unsafe count = max(0, pread(descriptor, buffer.baseAddress, buffer.count, 0))
        }
    }
}

private func spawn(_ command: [String], environment: [String: String], files: [NamelessFile]) throws -> Int32 {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    for (number, file) in files.enumerated() {
        unsafe posix_spawn_file_actions_adddup2(&actions, file.descriptor, Int32(number))
    }

    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK))

    var variables: [String: String] = environment
    for entry in environmentOfTests() {
        let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count == 2, variables[String(parts[0])] == nil { variables[String(parts[0])] = String(parts[1]) }
    }
    let words: [UnsafeMutablePointer<CChar>?] = unsafe command.map { unsafe strdup($0) } + [nil]
    let entries: [UnsafeMutablePointer<CChar>?] = unsafe variables.map { unsafe strdup("\($0)=\($1)") } + [nil]
    defer {
        unsafe (words + entries).forEach { unsafe free($0) }
    }
    var processID: pid_t = 0
    let status = unsafe posix_spawnp(&processID, command.first ?? "", &actions, &attributes, words, entries)
    guard status == 0 else { throw TestSupportError("cannot start \(command): errno \(status)") }
    return processID
}

private func environmentOfTests() -> [String] {
    var entries: [String] = []
    var next: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?> = unsafe environ
    while let entry = unsafe next.pointee {
        unsafe entries.append(String(cString: entry))
        unsafe next = next.advanced(by: 1)
    }
    return entries
}
