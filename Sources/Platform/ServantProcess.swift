internal import Glibc
public import SystemPackage

/// A process that works for this one: it has a socket to us as its standard input, our standard error, and nothing else.
///
/// It is killed and reaped when the object goes, at the latest.
public final class ServantProcess: Sendable {
    /// Its id.
    public let processID: Int32
    private let socket: Descriptor
    /// How it ended, once it has been reaped.
    private let ending = Locked<String?>(nil)

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - program: its path.
    ///   - arguments: its arguments, without its name.
    public init(_ program: FilePath, _ arguments: [String]) throws(Errno) {
        var ends: [CInt] = [-1, -1]
        guard unsafe socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw lastError()
        }
        let (ours, theirs) = (Descriptor(owning: ends[0]), Descriptor(owning: ends[1]))
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, theirs.rawValue, STDIN_FILENO)
        unsafe posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)

        // Signals as a program expects them, and a process group of its own: a Ctrl-C at the terminal is the daemon's business.
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var (none, all) = (sigset_t(), sigset_t())
        unsafe sigemptyset(&none)
        unsafe sigfillset(&all)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setsigdefault(&attributes, &all)
        unsafe posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP
        unsafe posix_spawnattr_setflags(&attributes, Int16(flags))

        var words: [UnsafeMutablePointer<CChar>?] =
            unsafe ([program.string] + arguments).map { unsafe strdup($0) } + [nil]
        defer { for index in unsafe words.indices { unsafe free(words[index]) } }
        // Nothing of the environment is the child's business.
        var environment: [UnsafeMutablePointer<CChar>?] = unsafe [nil]
        var child = pid_t()
        let result = unsafe posix_spawn(&child, program.string, &actions, &attributes, &words, &environment)
        guard result == 0 else { throw Errno(rawValue: result) }
        processID = child
        socket = ours
    }

    deinit {
        end()
    }

    /// Kills it, if it is still there, and waits for its end; calls that are waiting for it fail.
    ///
    /// - Parameter patience: how long it may take to end by itself: who has hung up is about to.
    /// - Returns: how it ended, in words.
    @discardableResult
    public func end(patience: Duration = .zero) -> String {
        ending.withLock { ending in
            if let ending { return ending }
            // What has ended by itself tells how; the others are told to.
            var status: CInt = 0
            var reaped = unsafe waitpid(processID, &status, WNOHANG)
            let deadline = ContinuousClock.now + patience
            while reaped == 0, ContinuousClock.now < deadline {
                usleep(1000)
                reaped = unsafe waitpid(processID, &status, WNOHANG)
            }
            let hasEndedItself = reaped == processID
            if !hasEndedItself {
                kill(processID, SIGKILL)
                repeat { reaped = unsafe waitpid(processID, &status, 0) } while reaped == -1 && errno == EINTR
            }
            shutdown(socket.rawValue, CInt(SHUT_RDWR))
            let words = hasEndedItself ? Self.words(status) : "it was stopped"
            ending = words
            return words
        }
    }

    private static func words(_ status: CInt) -> String {
        let signal = status & 0x7F
        if signal == 0 { return "it exited with status \(status >> 8 & 0xFF)" }
        let name = unsafe strsignal(signal).map { unsafe String(cString: $0) } ?? "?"
        return "it was killed by signal \(signal) (\(name))"
    }

    // MARK: Conversation

    /// Why a conversation has ended.
    public enum Silence: Error, Sendable, Hashable {
        /// It says nothing for too long.
        case timeout
        /// It has hung up.
        case ended
    }

    /// Sends bytes; waits at most until `deadline` for room.
    public func send(_ bytes: [UInt8], deadline: ContinuousClock.Instant) throws(Silence) {
        var done = 0
        while done < bytes.count {
            try wait(for: POLLOUT, until: deadline)
            let flags = CInt(MSG_NOSIGNAL | MSG_DONTWAIT)
            let count = unsafe bytes.withUnsafeBytes { buffer in
                unsafe Glibc.send(
                    socket.rawValue,
                    buffer.baseAddress?.advanced(by: done),
                    buffer.count - done,
                    flags
                )
            }
            if count > 0 {
                done += count
            } else if errno != EAGAIN, errno != EINTR {
                throw .ended
            }
        }
    }

    /// Receives so many bytes, in all by `deadline`.
    public func receive(_ count: Int, deadline: ContinuousClock.Instant) throws(Silence) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            try wait(for: POLLIN, until: deadline)
            let got = unsafe bytes.withUnsafeMutableBytes { buffer in
                unsafe recv(
                    socket.rawValue,
                    buffer.baseAddress?.advanced(by: done),
                    count - done,
                    CInt(MSG_DONTWAIT)
                )
            }
            if got > 0 {
                done += got
            } else if got == 0 || (errno != EAGAIN && errno != EINTR) {
                throw .ended
            }
        }
        return bytes
    }

    private func wait(for event: CInt, until deadline: ContinuousClock.Instant) throws(Silence) {
        while true {
            let (seconds, attoseconds) = (deadline - ContinuousClock.now).components
            guard seconds >= 0, attoseconds >= 0 else { throw .timeout }
            let milliseconds = CInt(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000 + 1)
            var entry = pollfd(fd: socket.rawValue, events: Int16(event), revents: 0)
            let ready = unsafe poll(&entry, 1, milliseconds)
            if ready > 0 { return }
            if ready == 0 { throw .timeout }
            if errno != EINTR { throw .ended }
        }
    }
}
