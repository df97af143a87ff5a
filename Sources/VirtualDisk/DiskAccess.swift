internal import ControlLanguage
internal import Platform

/// Who may read and write an attached disk: what the kernel checks at each open of its files (CONTRACT.md §3.4).
public struct DiskAccess: Sendable, Hashable {
    /// The owner's user id.
    public let owner: UInt32
    /// The group's id.
    public let group: UInt32
    /// Permission bits: read and write only; none to write of a read-only disk.
    public let mode: UInt16

    private init(owner: UInt32, group: UInt32, mode: UInt16, isReadOnly: Bool) {
        self.owner = owner
        self.group = group
        self.mode = mode & (isReadOnly ? 0o444 : 0o666)
    }

    /// Permission bits of a directory or text about the disk: who may read the disk may see it.
    public func mode(of full: UInt16) -> UInt16 {
        var mode: UInt16 = full & 0o700
        if self.mode & 0o040 != 0 { mode |= full & 0o070 }
        if self.mode & 0o004 != 0 { mode |= full & 0o007 }
        return mode
    }

    /// Decides it for one attachment.
    ///
    /// - Parameters:
    ///   - words: what the request says (`sd=`, `owner=` …).
    ///   - flags: NO_SECURITY_DESCRIPTOR leaves the disk to the mounting user alone.
    ///   - image: the image file, whose rights stand in for a NULL descriptor.
    static func decide(
        _ words: AttachWords.Access,
        _ flags: AttachFlags,
        image: FileStatus,
        requester: Requester,
        mountingUser: UInt32
    ) throws(AttachError) -> DiskAccess {
        let isReadOnly = flags.contains(.readOnly)
        let caller = requester.credentials
        if flags.contains(.noSecurityDescriptor) {
            let group = caller.user == mountingUser ? caller.group : 0
            return DiskAccess(owner: mountingUser, group: group, mode: 0o600, isReadOnly: isReadOnly)
        }
        switch words {
        case .descriptor(let sddl):
            let access = try SecurityDescriptor.parse(sddl.text).posixAccess(owner: caller.user, group: caller.group)
            return DiskAccess(owner: access.owner, group: access.group, mode: access.mode, isReadOnly: isReadOnly)
        case .posix(let owner, let group, let mode):
            return DiskAccess(
                owner: owner ?? image.user,
                group: group ?? image.group,
                mode: mode ?? UInt16(truncatingIfNeeded: image.permissions),
                isReadOnly: isReadOnly
            )
        case .asImage:
            let fromImage = DiskAccess(
                owner: image.user,
                group: image.group,
                mode: UInt16(truncatingIfNeeded: image.permissions),
                isReadOnly: isReadOnly
            )
            if fromImage.allows(caller, writing: !isReadOnly) { return fromImage }
            return DiskAccess(owner: caller.user, group: caller.group, mode: 0o600, isReadOnly: isReadOnly)
        }
    }

    /// What the kernel will say to a caller.
    func allows(_ caller: Credentials, writing: Bool) -> Bool {
        if caller.user == 0 { return true }
        let wanted: UInt16 = writing ? 0o6 : 0o4
        let bits =
            if caller.user == owner {
                mode >> 6
            } else if caller.group == group || caller.supplementaryGroups.contains(group) {
                mode >> 3
            } else {
                mode
            }
        return bits & wanted == wanted
    }
}
