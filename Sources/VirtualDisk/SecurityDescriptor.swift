/// A security descriptor of Windows, as far as it says who may read and write a disk.
public struct SecurityDescriptor: Hashable, Sendable {
    /// The owner; nil: whoever attaches the disk.
    public let owner: SecurityIdentifier?
    /// The group; nil: that of whoever attaches the disk.
    public let group: SecurityIdentifier?
    /// The entries of the DACL that count for the object itself, in order; nil: no DACL, so everyone has all access.
    let entries: [AccessEntry]?

    /// Reads a security descriptor in SDDL, by the grammar of [MS-DTYP] §2.5.1.1; letters may be small, as ABNF has it.
    ///
    /// The system ACL (`S:`) is read and has no effect: there are no audits here. Of the DACL these have none: entries that are only
    /// inherited (IO), and permissions for one object type (OA with a type); a *denial* for one object type counts for the
    /// whole, as Windows does where no types are asked for.
    ///
    /// - Throws: ERROR_INVALID_PARAMETER with the position and what was expected, also for conditional and resource
    ///   attribute entries.
    public static func parse(_ sddl: String) throws(AttachError) -> SecurityDescriptor {
        var parser = SDDLParser(sddl)
        return try parser.descriptor()
    }
}

/// One entry of a DACL, for the object itself.
struct AccessEntry: Hashable, Sendable {
    /// Whether the rights are given or denied.
    var isAllowed: Bool
    /// The access mask, generic rights included.
    var rights: UInt32
    /// To whom.
    var identifier: SecurityIdentifier
}
