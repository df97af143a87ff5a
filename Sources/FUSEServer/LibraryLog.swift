internal import CFuse
internal import Glibc
internal import Logging
internal import Platform
internal import SystemPackage

/// What libfuse says. It has one log for the whole process.
enum LibraryLog {
    private static let logger = Logger(label: "libfuse")
    private static let captured = Locked<String?>(nil)

    /// Whether somebody captures: standard error can be redirected only once at a time.
    private static let isCapturing = Monitor(false)

    /// Runs `body` and returns what libfuse, and the `fusermount3` that it starts, said meanwhile.
    ///
    /// The helper writes to our standard error, so that is sent elsewhere for the time: call it before the process has threads.
    static func capture<R>(_ body: () -> R) -> (result: R, words: String) {
        isCapturing.wait { isBusy -> Void? in
            guard !isBusy else { return nil }
            return isBusy = true
        }
        defer { isCapturing.update { $0 = false } }
        install()
        captured.withLock { $0 = "" }
        let standardError = RedirectedStandardError()
        let result = body()
        let helperWords = standardError?.restore() ?? ""
        let libraryWords = captured.withLock { words in
            defer { words = nil }
            return words ?? ""
        }
        return (result, tidy(helperWords.isEmpty ? libraryWords : helperWords))
    }

    private static func install() {
        unsafe fuse_set_log_func { level, format, arguments in
            guard let format = unsafe format, let arguments = unsafe arguments else { return }
            let line = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1024) { buffer in
                guard let base = buffer.baseAddress else { return "" }
                unsafe vsnprintf(base, buffer.count, format, arguments)
                return unsafe String(cString: base)
            }
            LibraryLog.take(line, isDebug: level == FUSE_LOG_DEBUG)
        }
    }

    private static func take(_ line: String, isDebug: Bool) {
        let wasCaptured = captured.withLock { words in
            guard let earlier = words, !isDebug else { return false }
            words = earlier + line
            return true
        }
        if !wasCaptured { logger.log(level: isDebug ? .debug : .warning, "\(tidy(line))") }
    }

    /// One line, without the program's name that each message starts with.
    private static func tidy(_ words: String) -> String {
        words.split(whereSeparator: \.isNewline)
            .map { line in
                for prefix in ["fuse: ", "fusermount3: "] where line.hasPrefix(prefix) {
                    return String(line.dropFirst(prefix.count))
                }
                return String(line)
            }
            .joined(separator: "; ")
    }
}

/// Standard error, sent to memory for a while.
private struct RedirectedStandardError {
    private let original: FileDescriptor
    private let memory: FileDescriptor

    init?() {
        guard let original = try? FileDescriptor.standardError.duplicate() else { return nil }
        let memory = unsafe cfuse_memory_file("stderr")
        guard memory >= 0 else {
            try? original.close()
            return nil
        }
        self.original = original
        self.memory = FileDescriptor(rawValue: memory)
        _ = try? self.memory.duplicate(as: .standardError)
    }

    /// Puts standard error back; returns what was written.
    func restore() -> String {
        _ = try? original.duplicate(as: .standardError)
        try? original.close()
        defer { try? memory.close() }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count =
            (try? unsafe bytes.withUnsafeMutableBytes { try unsafe memory.read(fromAbsoluteOffset: 0, into: $0) }) ?? 0
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}
