/// Reads a security descriptor by the grammar of [MS-DTYP] §2.5.1.1, in one pass and without recursion.
struct SDDLParser {
    /// As much as a request can hold.
    private static let maximumLength = 65_536

    private var reader: SDDLReader

    init(_ sddl: String) {
        reader = SDDLReader(sddl)
    }

    /// `sddl = [owner-string] [group-string] [dacl-string] [sacl-string]`, but not nothing at all.
    mutating func descriptor() throws(AttachError) -> SecurityDescriptor {
        guard reader.count <= Self.maximumLength else {
            throw AttachError(
                .invalidParameter,
                "the security descriptor is longer than \(Self.maximumLength) characters"
            )
        }
        let parts = "O:, G:, D: or S:, each at most once and in this order"
        guard !reader.isAtEnd else { throw reader.failure("expected \(parts)") }
        let owner = reader.take("O:") ? try identifier() : nil
        let group = reader.take("G:") ? try identifier() : nil
        let entries = reader.take("D:") ? try list(.discretionary) : nil
        if reader.take("S:") { _ = try list(.system) }
        guard reader.isAtEnd else { throw reader.failure("expected \(parts)") }
        return SecurityDescriptor(owner: owner, group: group, entries: entries)
    }

    private enum ListKind {
        case discretionary
        case system
    }

    /// `[acl-flag-string] [aces]`; nil for a list that isn't there although it is written (NO_ACCESS_CONTROL).
    private mutating func list(_ kind: ListKind) throws(AttachError) -> [AccessEntry]? {
        var isNull = false
        var hasFlag = true
        while hasFlag {
            if reader.take("NO_ACCESS_CONTROL") {
                isNull = true
            } else {
                hasFlag = reader.take("P") || reader.take("AR") || reader.take("AI")
            }
        }
        var entries: [AccessEntry] = []
        while reader.peek() == UInt8(ascii: "(") {
            guard !isNull else { throw reader.failure("NO_ACCESS_CONTROL and entries exclude each other") }
            if let entry = try entry(in: kind) { entries.append(entry) }
        }
        return isNull ? nil : entries
    }

    /// `(type;flags;rights;object type;inherited object type;identifier)`; nil if it gives and denies nothing on the object itself.
    private mutating func entry(in kind: ListKind) throws(AttachError) -> AccessEntry? {
        try reader.expect("(", "an opening parenthesis")
        let type = try entryType(in: kind)
        try separator("type")
        let isInheritOnly = try entryFlags().contains("IO")
        try separator("flags")
        let rights = try rights()
        try separator("rights (FA, FR, 0x1F01FF …)")
        let hasObjectType = try objectType(allowed: type.isForObjectTypes)
        try separator("object type")
        _ = try objectType(allowed: type.isForObjectTypes)
        try separator("inherited object type")
        let identifier = try identifier()
        if reader.peek() == UInt8(ascii: ";") {
            throw reader.failure("conditions and resource attributes are not supported; expected a closing parenthesis")
        }
        try reader.expect(")", "a closing parenthesis behind the SID")
        guard kind == .discretionary, !isInheritOnly, !(type.isAllowed && hasObjectType) else { return nil }
        return AccessEntry(isAllowed: type.isAllowed, rights: rights, identifier: identifier)
    }

    private struct EntryType {
        var isAllowed = false
        var isForObjectTypes = false
    }

    private mutating func entryType(in kind: ListKind) throws(AttachError) -> EntryType {
        let before = reader
        let name = reader.takeLetters()
        switch (name, kind) {
        case ("A", .discretionary): return EntryType(isAllowed: true)
        case ("D", .discretionary): return EntryType()
        case ("OA", .discretionary): return EntryType(isAllowed: true, isForObjectTypes: true)
        case ("OD", .discretionary): return EntryType(isForObjectTypes: true)
        case ("AU", .system), ("AL", .system), ("ML", .system), ("SP", .system), ("TL", .system): return EntryType()
        case ("OU", .system), ("OL", .system): return EntryType(isForObjectTypes: true)
        case ("XA", _), ("XD", _), ("XU", _), ("ZA", _), ("FL", _):
            throw before.failure("entries with a condition (\(name)) are not supported; use A or D")
        case ("RA", _):
            throw before.failure("resource attributes (RA) are not supported")
        default:
            let types = kind == .discretionary ? "A, D, OA or OD in D:" : "AU, AL, OU, OL, ML, SP or TL in S:"
            throw before.failure("expected an entry's type, \(types)")
        }
    }

    private mutating func entryFlags() throws(AttachError) -> Set<String> {
        let known: Set = ["CI", "OI", "NP", "IO", "ID", "SA", "FA", "TP", "CR"]
        var flags: Set<String> = []
        var before = reader
        while let flag = reader.takeTwoLetters() {
            guard known.contains(flag) else { throw before.failure("'\(flag)' is no flag of an entry") }
            flags.insert(flag)
            before = reader
        }
        return flags
    }

    /// Codes of two letters, or a number of 32 bits: hexadecimal (0x), octal (0), or decimal. Nothing is no rights.
    private mutating func rights() throws(AttachError) -> UInt32 {
        let limit = UInt64(UInt32.max)
        if reader.take("0X") {
            return UInt32(truncatingIfNeeded: try reader.takeNumber(radix: 16, digits: 8, upTo: limit))
        }
        if let first = reader.peek(), (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) {
            let radix: UInt64 = first == UInt8(ascii: "0") ? 8 : 10
            return UInt32(truncatingIfNeeded: try reader.takeNumber(radix: radix, digits: 12, upTo: limit))
        }
        var rights: UInt32 = 0
        var before = reader
        while let code = reader.takeTwoLetters() {
            guard let bits = SDDLRights.codes[code] else {
                throw before.failure("'\(code)' is no right, as GA GR GW FA FR FW are")
            }
            rights |= bits
            before = reader
        }
        return rights
    }

    /// A GUID or nothing; says whether there is one.
    private mutating func objectType(allowed: Bool) throws(AttachError) -> Bool {
        guard reader.peek() != UInt8(ascii: ";") else { return false }
        guard allowed else { throw reader.failure("expected ';': only entries of type OA or OD have an object type") }
        for (index, digits) in [8, 4, 4, 4, 12].enumerated() {
            if index > 0 { try reader.expect("-", "a GUID, 8-4-4-4-12 hexadecimal digits") }
            let start = reader.position
            _ = try reader.takeNumber(radix: 16, digits: digits, upTo: .max)
            guard reader.position - start == digits else {
                throw reader.failure("expected a GUID, 8-4-4-4-12 hexadecimal digits")
            }
        }
        return true
    }

    private mutating func separator(_ field: String) throws(AttachError) {
        try reader.expect(";", "';' behind the entry's \(field)")
    }

    /// An alias, or `S-1-AUTHORITY` with 1 to 15 further numbers.
    private mutating func identifier() throws(AttachError) -> SecurityIdentifier {
        let before = reader
        guard reader.take("S-") else {
            if let alias = reader.takeTwoLetters(), let identifier = SecurityIdentifier(alias: alias) {
                return identifier
            }
            throw before.failure("expected a SID, S-1-… or an alias as BA or WD")
        }
        try reader.expect("1-", "revision 1 of a SID, S-1-…")
        let authority =
            reader.take("0X")
            ? try reader.takeNumber(radix: 16, digits: 12, upTo: .max)
            : try reader.takeNumber(radix: 10, digits: 10, upTo: UInt64(UInt32.max))
        var subauthorities: [UInt32] = []
        while reader.take("-") {
            guard subauthorities.count < 15 else { throw reader.failure("a SID has at most 15 subauthorities") }
            let number = try reader.takeNumber(radix: 10, digits: 10, upTo: UInt64(UInt32.max))
            subauthorities.append(UInt32(truncatingIfNeeded: number))
        }
        guard !subauthorities.isEmpty else { throw reader.failure("expected '-' and a subauthority of the SID") }
        return SecurityIdentifier(
            text: reader.text(from: before.position),
            authority: authority,
            subauthorities: subauthorities
        )
    }
}
