import Glibc
import Platform
import SystemPackage
import Testing

/// A second process for a test, with pipes to it. It is killed and reaped when the last reference goes.
final class ChildProcess: Sendable {
    let id: pid_t
    private let input: Descriptor
    private let output: Descriptor
    private let status = Monitor<Int32?>(nil)

    /// Starts a program that is found in `PATH`.
    ///
    /// - Parameters:
    ///   - words: its name and arguments.
    ///   - folder: its working directory.
    convenience init(_ words: String..., in folder: FilePath = "/") throws {
        try self.init(words, in: folder)
    }

    init(_ words: [String], in folder: FilePath = "/") throws {
        let (theirInput, input) = try Self.channel()
        let (output, theirOutput) = try Self.channel()
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, theirInput.rawValue, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, theirOutput.rawValue, 1)
        unsafe posix_spawn_file_actions_adddup2(&actions, theirOutput.rawValue, 2)
        let words = ["env", "-C", folder.string] + words
        var arguments = unsafe words.map { unsafe strdup($0) } + [nil]
        defer { unsafe arguments.forEach { unsafe free($0) } }
        var id: pid_t = 0
        let status = unsafe posix_spawnp(&id, words[0], &actions, nil, &arguments, environ)
        try #require(status == 0, "\(words[0]): \(Errno(rawValue: status))")
        self.id = id
        self.input = input
        self.output = output
        // At once, whether the test waits or not: a dead child that nobody has waited for holds up exit tests.
        startThread("reap") { [id, status = self.status] in
            var raw: Int32 = 0
            while unsafe waitpid(id, &raw, 0) == -1 && errno == EINTR {}
            let exit = raw & 0x7F == 0 ? raw >> 8 & 0xFF : 128 + raw & 0x7F
            status.update { $0 = exit }
        }
    }

    /// A script that answers a line when it is ready, and then waits for its standard input to end.
    static func python(_ script: String, _ arguments: String...) throws -> ChildProcess {
        let waiting = script + "\nprint('ready', flush=True)\nsys.stdin.read()"
        let child = try ChildProcess([python3, "-c", waiting] + arguments)
        let answer = try child.readLine()
        try #require(answer == "ready", "\(answer) \(child.readAll())")
        return child
    }

    /// The system's own interpreter: one in a home folder can't be run by other users.
    static let python3 = "/usr/bin/python3"

    deinit {
        end()
    }

    /// Waits for its end.
    ///
    /// - Returns: the exit status, or 128 and the signal.
    @discardableResult
    func wait() -> Int32 {
        status.wait { $0 } ?? -1
    }

    /// Ends it, unless it has ended, and waits.
    func end() {
        status.update { status in
            // Not when it has been reaped: the number may be another's then.
            if status == nil { kill(id, SIGKILL) }
        }
        wait()
    }

    /// Writes to its standard input.
    func send(_ text: String) {
        var text = text
        text.withUTF8 { _ = unsafe Glibc.write(input.rawValue, $0.baseAddress, $0.count) }
    }

    /// The next line of its output, without the newline; what there is at the end of it.
    func readLine() throws -> String {
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while unsafe Glibc.read(output.rawValue, &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
        return String(decoding: line, as: UTF8.self)
    }

    /// All the rest of its output.
    func readAll() -> String {
        var text: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = unsafe Glibc.read(output.rawValue, &chunk, chunk.count)
            if count <= 0 { return String(decoding: text, as: UTF8.self) }
            text += chunk.prefix(count)
        }
    }

    private static func channel() throws -> (Descriptor, Descriptor) {
        var ends: [CInt] = [-1, -1]
        // Not pipe(2): nothing else may inherit an end, and Swift does not show pipe2(2).
        let status = unsafe socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends)
        try #require(status == 0)
        return (Descriptor(owning: ends[0]), Descriptor(owning: ends[1]))
    }
}
