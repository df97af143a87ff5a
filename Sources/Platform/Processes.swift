internal import Glibc
public import SystemPackage

/// Processes that this one starts.
public enum Processes {
    /// Waits until a child of this process has ended.
    ///
    /// - Returns: its exit status, or 128 and the number of the signal that ended it.
    public static func waitForEnd(of child: Int32) -> Int32 {
        var status: CInt = 0
        while unsafe waitpid(child, &status, 0) == -1 {
            if errno != EINTR { return 128 }
        }
        let signal = status & 0x7F
        return signal == 0 ? status >> 8 & 0xFF : 128 + signal
    }

    /// Waits until another process writes into a pipe; false when all who could have closed it without a word.
    public static func waitForWord(from pipe: FileDescriptor) -> Bool {
        var byte: UInt8 = 0
        return (try? retrying { unsafe read(pipe.rawValue, &byte, 1) }) == 1
    }

    /// Runs a program that is found in `PATH`, with no signal blocked, and waits for its end.
    ///
    /// - Parameter words: its name and arguments.
    /// - Returns: its exit status, as `waitForEnd` has it, and what it wrote to standard output and standard error.
    public static func run(_ words: [String]) throws(Errno) -> (status: Int32, output: String) {
        let (output, input) = try FileDescriptor.pipe(options: .closeOnExec)
        let received = Descriptor(owning: output.rawValue)
        var child = pid_t()
        let status = unsafe withSpawnSettings(output: input.rawValue) { actions, attributes in
            var arguments = unsafe words.map { unsafe strdup($0) } + [nil]
            defer { for index in unsafe arguments.indices { unsafe free(arguments[index]) } }
            return unsafe posix_spawnp(&child, words.first ?? "", actions, attributes, &arguments, environ)
        }
        try? input.close()
        guard status == 0 else { throw Errno(rawValue: status) }
        let text = String(decoding: try received.receive(), as: UTF8.self)
        return (waitForEnd(of: child), text)
    }

    @unsafe
    private static func withSpawnSettings(
        output: CInt,
        _ body: (UnsafePointer<posix_spawn_file_actions_t>, UnsafePointer<posix_spawnattr_t>) -> CInt
    ) -> CInt {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        unsafe posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO)

        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        unsafe sigemptyset(&none)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        return unsafe body(&actions, &attributes)
    }
}
