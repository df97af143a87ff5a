public import SystemPackage

/// What a path in a request of another process means to the daemon.
public enum CallerContext {
    /// Whether an absolute path means the same file to a thread as to the daemon: the same mount namespace, and the same root.
    ///
    /// - Returns: nil when that can't be found out: the thread is gone, unknown here, or of a user whom we may not look at.
    public static func sharesOurView(thread: Int32) -> Bool? {
        guard thread > 0,
            let theirs = try? FilePath("/proc/\(thread)/ns/mnt").linkTarget(),
            let ours = try? FilePath("/proc/self/ns/mnt").linkTarget(),
            let theirRoot = try? FilePath("/proc/\(thread)/root").linkTarget(),
            let ourRoot = try? FilePath("/proc/self/root").linkTarget()
        else { return nil }
        return theirs == ours && theirRoot == ourRoot
    }

    /// The working directory of a thread, as a path that means the same directory to the daemon.
    ///
    /// - Parameter thread: a thread id in the daemon's pid namespace.
    /// - Returns: nil when the thread is gone, lives in another mount namespace, or its directory has been deleted, covered by another
    ///   mount, or can't be reached with the daemon's rights.
    public static func workingDirectory(ofThread thread: Int32) -> FilePath? {
        guard sharesOurView(thread: thread) == true else { return nil }
        let link = FilePath("/proc/\(thread)/cwd")
        guard let path = try? link.linkTarget(), path.isAbsolute,
            let identity = knownIdentity(of: link),
            identity == knownIdentity(of: path)
        else { return nil }
        return path
    }
}
