/// Owner, group and permission bits of a disk.
public struct PosixAccess: Hashable, Sendable {
    /// The owner's user id.
    public var owner: UInt32
    /// The group's id.
    public var group: UInt32
    /// Permission bits: read and write for each class, never execute.
    public var mode: UInt16

    /// Makes an access.
    public init(owner: UInt32, group: UInt32, mode: UInt16) {
        self.owner = owner
        self.group = group
        self.mode = mode
    }
}

extension SecurityDescriptor {
    /// What the descriptor means on this host.
    ///
    /// Each of the classes owner, group and others gets the right to read (FILE_READ_DATA) and to write (FILE_WRITE_DATA) if the
    /// entries give it, as Windows evaluates them: for each right the first entry decides that is about the class and has the
    /// right; none: denied. Entries for WD are about all three classes; entries for the group are not about the owner, though he may be
    /// a member, because POSIX doesn't ask the group's bits for him. Entries for root count for a class whose id is 0, and
    /// have no effect otherwise: nothing is denied to root.
    ///
    /// Without a DACL everyone has all access, with an empty one nobody.
    ///
    /// - Parameters:
    ///   - defaultOwner: the owner if the descriptor names none, the user who attaches.
    ///   - defaultGroup: the group if the descriptor names none, that of the user who attaches.
    /// - Throws: ERROR_INVALID_SID for an identifier that is nobody here, an owner that is no user, a group that is none, and an entry
    ///   for someone who is neither owner nor group nor everyone, which permission bits can't say.
    public func posixAccess(owner defaultOwner: UInt32, group defaultGroup: UInt32) throws(AttachError) -> PosixAccess {
        var access = PosixAccess(owner: defaultOwner, group: defaultGroup, mode: 0o666)
        if let owner { access.owner = try Self.userID(of: owner) }
        if let group { access.group = try Self.groupID(of: group) }
        guard let entries else { return access }

        // A bit of the mode that is decided stays as it is.
        var decided: UInt16 = 0
        access.mode = 0
        for entry in entries {
            let bits = try Self.classes(of: entry.identifier, in: access) & entry.permissions & ~decided
            decided |= bits
            if entry.isAllowed { access.mode |= bits }
        }
        return access
    }

    /// The classes that an identifier is about, as the mode bits of all their permissions.
    private static func classes(
        of identifier: SecurityIdentifier,
        in access: PosixAccess
    ) throws(AttachError) -> UInt16 {
        switch identifier.meaning {
        case .everyone: return 0o777
        case .ownerRights: return 0o700
        case .root: return (access.owner == 0 ? 0o700 : 0) | (access.group == 0 ? 0o070 : 0)
        case .user(access.owner): return 0o700
        case .user(0): return 0
        case .group(access.group): return 0o070
        case .user, .group:
            throw AttachError(
                .invalidSID,
                "the entry for \(identifier.text) can't be kept: permissions are for the owner (user \(access.owner)), "
                    + "the group (\(access.group)) and everyone (WD); set owner or group with O: or G:"
            )
        case .unknown: throw unknown(identifier)
        }
    }

    private static func userID(of owner: SecurityIdentifier) throws(AttachError) -> UInt32 {
        switch owner.meaning {
        case .user(let id): return id
        case .root: return 0
        case .everyone, .ownerRights, .group:
            throw AttachError(.invalidSID, "the owner \(owner.text) is no user; use S-1-22-1-UID, or BA or SY for root")
        case .unknown: throw unknown(owner)
        }
    }

    private static func groupID(of group: SecurityIdentifier) throws(AttachError) -> UInt32 {
        switch group.meaning {
        case .group(let id): return id
        case .root: return 0
        case .everyone, .ownerRights, .user:
            throw AttachError(
                .invalidSID,
                "the group \(group.text) is no group; use S-1-22-2-GID, or BA or SY for root's"
            )
        case .unknown: throw unknown(group)
        }
    }

    private static func unknown(_ identifier: SecurityIdentifier) -> AttachError {
        AttachError(
            .invalidSID,
            "the SID \(identifier.text) is nobody on this host; use S-1-22-1-UID for a user, S-1-22-2-GID for a group, "
                + "BA or SY for root, WD for everyone, OW for the owner"
        )
    }
}

extension AccessEntry {
    /// The rights as mode bits, the same in all three classes.
    fileprivate var permissions: UInt16 {
        let canRead = rights & (SDDLRights.fileReadData | SDDLRights.genericRead | SDDLRights.genericAll) != 0
        let canWrite = rights & (SDDLRights.fileWriteData | SDDLRights.genericWrite | SDDLRights.genericAll) != 0
        return (canRead ? 0o444 : 0) | (canWrite ? 0o222 : 0)
    }
}
