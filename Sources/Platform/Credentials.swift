internal import Glibc
public import SystemPackage

/// With whose rights the kernel checks an access to a file, in the daemon's user namespace.
public struct Credentials: Sendable, Hashable {
    /// The user id.
    public var user: UInt32
    /// The group id.
    public var group: UInt32
    /// The supplementary groups.
    public var supplementaryGroups: [UInt32]

    /// Makes credentials.
    public init(user: UInt32, group: UInt32, supplementaryGroups: [UInt32] = []) {
        self.user = user
        self.group = group
        self.supplementaryGroups = supplementaryGroups
    }

    /// The daemon's own.
    public static var current: Credentials {
        get throws(Errno) {
            let count = try retrying { getgroups(0, nil) }
            var groups = [gid_t](repeating: 0, count: Int(count))
            let found = try retrying { unsafe getgroups(count, &groups) }
            return Credentials(
                user: geteuid(),
                group: getegid(),
                supplementaryGroups: Array(groups.prefix(Int(found)))
            )
        }
    }

    /// Those of a running thread: its ids for file accesses, which differ from its effective ones after `setfsuid`.
    ///
    /// True only while the thread is blocked in a request to us, since it can change them, or end and leave its number to another.
    ///
    /// - Parameter thread: a thread id in the daemon's pid namespace; FUSE gives 0 for one outside of it.
    /// - Throws: `ESRCH` when there is no such thread.
    public static func ofThread(_ thread: Int32) throws(Errno) -> Credentials {
        guard let credentials = Credentials(processStatus: try ThreadState.text(thread)) else { throw .noSuchProcess }
        return credentials
    }

    /// Reads the text of `/proc/TID/status`: `Uid:` and `Gid:` have the real, effective, saved and file-system ids.
    init?(processStatus text: String) {
        var ids: [Substring: [UInt32]] = [:]
        for line in text.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let name = line[..<colon]
            guard name == "Uid" || name == "Gid" || name == "Groups" else { continue }
            let words = line[line.index(after: colon)...].split { $0 == " " || $0 == "\t" }
            let numbers = words.compactMap { UInt32($0) }
            guard numbers.count == words.count else { return nil }
            ids[name] = numbers
        }
        guard let users = ids["Uid"], let groups = ids["Gid"], users.count == 4, groups.count == 4,
            let supplementaryGroups = ids["Groups"]
        else { return nil }
        self.init(user: users[3], group: groups[3], supplementaryGroups: supplementaryGroups)
    }
}
