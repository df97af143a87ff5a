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

    /// Makes `/` the working directory, so that no other file system is kept busy.
    public static func leaveWorkingDirectory() {
        _ = unsafe chdir("/")
    }
}
