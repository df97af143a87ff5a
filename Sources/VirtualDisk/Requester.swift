public import Platform
public import SystemPackage

/// Who asks for an attach or a detach.
public struct Requester: Sendable {
    /// The rights with which files are opened.
    public var credentials: Credentials
    /// The caller's working directory, for relative paths; nil when it can't be known.
    public var workingDirectory: FilePath?
    /// Paths mean something else to the caller than to us, or may: another mount namespace, another root.
    public var seesOtherFiles: Bool

    /// Makes a requester.
    public init(credentials: Credentials, workingDirectory: FilePath? = nil, seesOtherFiles: Bool = false) {
        self.credentials = credentials
        self.workingDirectory = workingDirectory
        self.seesOtherFiles = seesOtherFiles
    }

    /// The absolute form of a path of a request. `..` stays: behind a symbolic link only the host knows where it leads.
    public func absolute(_ path: FilePath) throws(AttachError) -> FilePath {
        guard !seesOtherFiles else {
            throw AttachError(
                .pathNotFound,
                "paths mean other files to you than to vhdfs: you are in another mount namespace or root directory",
                path: path.string
            )
        }
        if path.isAbsolute { return path }
        guard let workingDirectory else {
            throw AttachError(
                .pathNotFound,
                "your working directory is not visible from here; use an absolute path",
                path: path.string
            )
        }
        return workingDirectory.pushing(path)
    }
}

/// Who may attach and detach: the equivalent of SE_MANAGE_VOLUME_PRIVILEGE (CONTRACT.md §3.4).
public struct ManagePolicy: Sendable {
    /// The user who mounted the file system.
    public let mountingUser: UInt32
    /// A group whose members may too; honoured by root's daemon only.
    public let group: UInt32?

    /// Makes a policy.
    public init(mountingUser: UInt32, group: UInt32? = nil) {
        self.mountingUser = mountingUser
        self.group = mountingUser == 0 ? group : nil
    }

    /// Whether a caller holds the privilege.
    public func allows(_ caller: Credentials) -> Bool {
        if caller.user == 0 || caller.user == mountingUser { return true }
        guard let group else { return false }
        return caller.group == group || caller.supplementaryGroups.contains(group)
    }

    /// Throws ERROR_PRIVILEGE_NOT_HELD for a caller without the privilege.
    public func check(_ caller: Credentials) throws(AttachError) {
        guard !allows(caller) else { return }
        throw AttachError(
            .privilegeNotHeld,
            "only root, the user who mounted this file system"
                + (group == nil ? "" : ", and the members of its manage group") + " may attach and detach"
        )
    }
}
