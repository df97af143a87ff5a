internal import Glibc
public import SystemPackage

/// What the system knows by name.
public enum Surroundings {
    /// A variable of the environment; nil when it is not set, or empty. For a process without threads.
    public static func variable(_ name: String) -> String? {
        guard let value = unsafe getenv(name), let text = unsafe String(validatingCString: value), !text.isEmpty else {
            return nil
        }
        return text
    }

    /// The number of a group. For a process without threads.
    public static func group(named name: String) -> UInt32? {
        guard let entry = unsafe getgrnam(name) else { return nil }
        return unsafe entry.pointee.gr_gid
    }

    /// The folder that relative paths start at; nil when it can't be reached any more.
    public static var workingDirectory: FilePath? {
        guard let path = unsafe getcwd(nil, 0) else { return nil }
        defer { unsafe free(path) }
        return unsafe FilePath(platformString: path)
    }

    /// Whether there is something at a path.
    public static func exists(_ path: FilePath) -> Bool {
        unsafe path.withPlatformString { unsafe access($0, F_OK) } == 0
    }

    /// Makes `/` the working directory, so that no other file system is kept busy.
    public static func leaveWorkingDirectory() {
        _ = unsafe chdir("/")
    }

    /// The bytes of an argument of the command line, which Swift shows with U+FFFD where they are not UTF-8.
    ///
    /// Two arguments that look the same are taken as they look.
    public static func argument(shownAs text: String) -> [UInt8] {
        let shown = Array(text.utf8)
        guard text.unicodeScalars.contains("\u{FFFD}") else { return shown }
        var found: Set<[UInt8]> = []
        for index in 0..<Int(CommandLine.argc) {
            guard let argument = unsafe CommandLine.unsafeArgv[index] else { continue }
            let bytes = unsafe UnsafeBufferPointer(start: argument, count: strlen(argument)).map {
                UInt8(bitPattern: $0)
            }
            if String(decoding: bytes, as: UTF8.self) == text { found.insert(bytes) }
        }
        return found.count == 1 ? found.first ?? shown : shown
    }

    /// Opens `/dev/null` for those of the three standard streams that are closed, so that no other file takes their numbers.
    public static func openStandardStreams() {
        var descriptor: CInt
        repeat {
            descriptor = unsafe open("/dev/null", O_RDWR)
        } while (0...2).contains(descriptor)
        close(descriptor)
    }
}
