import Glibc
import Platform
import SystemPackage
import Testing

/// A second process that holds a lease on a file: an `open` of it waits until the lease is given back, which is never.
///
/// That is how a file server that doesn't answer looks to the one who opens.
func holdLease(on path: FilePath) throws -> ChildProcess {
    try .python(
        """
        import fcntl, os, signal, sys
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        f = os.open(sys.argv[1], os.O_RDWR)
        fcntl.fcntl(f, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        """,
        path.string
    )
}

/// Looks again and again until something is so; false when it still isn't after a long time.
func eventually(_ condition: () -> Bool) -> Bool {
    // Less than the 45 seconds after which the kernel ends a lease by itself.
    let end = ContinuousClock.now + .seconds(30)
    while ContinuousClock.now < end {
        if condition() { return true }
        usleep(10_000)
    }
    return false
}

/// Looks again and again until it sees what is expected; the last look, when that never comes.
func settled<Value: Equatable>(at expected: Value, _ look: () -> Value) -> Value {
    var last = look()
    _ = eventually {
        last = look()
        return last == expected
    }
    return last
}

/// The processes whose parent is that one.
func children(of parent: pid_t) -> [pid_t] {
    guard let folder = try? Descriptor(opening: "/proc", flags: O_RDONLY), let names = try? folder.entries() else {
        return []
    }
    return names.compactMap { pid_t($0) }.filter { id in
        guard let text = try? FilePath("/proc/\(id)/stat").contents(limit: 4096) else { return false }
        // The name, in parentheses, may have anything in it.
        let fields = String(decoding: text, as: UTF8.self).split(separator: ")").last?.split(separator: " ") ?? []
        return fields.count > 1 && pid_t(fields[1]) == parent
    }
}

/// Where the open descriptors of a process lead.
func descriptors(of process: pid_t) throws -> [String] {
    let folder = FilePath("/proc/\(process)/fd")
    let names = try Descriptor(opening: folder, flags: O_RDONLY).entries()
    return names.compactMap { try? folder.appending($0).linkTarget().string }
}

/// What this process holds of an opener's work: sockets, and files of a folder. The runtime has descriptors of its own that come and go
/// (libdispatch looks at its threads in `/proc` once a second), so counting all of them fails now and then.
func held(in folder: String) -> [String] {
    let all = (try? descriptors(of: getpid())) ?? []
    return all.filter { $0.hasPrefix("socket:") || $0.hasPrefix(folder) }.sorted()
}

extension FileOpener {
    /// Opens for reading, as `credentials`.
    func read(_ path: FilePath, as credentials: Credentials) throws(OpenError) -> Descriptor {
        try open(path, .reading(), as: credentials, cancellation: nil)
    }
}

let root = Credentials(user: 0, group: 0)
