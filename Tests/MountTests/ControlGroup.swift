import Glibc
import TestSupport

/// A control group with little memory, of version 1 or 2, and the way back out of it.
struct ControlGroup {
    private let parent: String
    private let path: String
    private let limitFile: String

    /// Makes a group, which is to be removed; nil where that is not possible.
    init?(memory: UInt64) {
        let isFirstVersion = unsafe access("/sys/fs/cgroup/memory", F_OK) == 0
        parent = isFirstVersion ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup"
        limitFile = isFirstVersion ? "memory.limit_in_bytes" : "memory.max"
        path = "\(parent)/vhdfs-tests.\(getpid())"
        guard unsafe mkdir(path, 0o755) == 0 else { return nil }
        guard Self.write("\(memory)", to: "\(path)/\(limitFile)") else {
            unsafe rmdir(path)
            return nil
        }
    }

    /// Whether there can be any.
    static let canBeMade: Bool = {
        guard let group = ControlGroup(memory: 1 << 30) else { return false }
        group.remove()
        return true
    }()

    /// Puts a process in.
    func take(_ process: pid_t) -> Bool {
        Self.write("\(process)", to: "\(path)/cgroup.procs")
    }

    /// Puts whoever is in it where all others are, and removes it.
    func remove() {
        let inside = (try? run("cat", "\(path)/cgroup.procs").output) ?? ""
        for process in inside.split(separator: "\n") { _ = Self.write(String(process), to: "\(parent)/cgroup.procs") }
        unsafe rmdir(path)
    }

    private static func write(_ text: String, to path: String) -> Bool {
        (try? run("sh", "-c", "echo \(text) > \(path)").succeeded) == true
    }
}
