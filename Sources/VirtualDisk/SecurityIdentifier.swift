/// A security identifier (SID), and who that is on this host.
///
/// Windows' identifiers of accounts mean nothing here. Those of Samba for Unix users and groups do, and a few well-known ones.
public struct SecurityIdentifier: Hashable, Sendable {
    /// The identifier as it was written, for messages.
    public let text: String
    /// Who it is here.
    public let meaning: Meaning

    /// Who an identifier can stand for.
    public enum Meaning: Hashable, Sendable {
        /// Everyone: WD.
        case everyone
        /// Root, as user or as group: the built-in administrators (BA), the local system (SY).
        case root
        /// Whoever owns the object: OW.
        case ownerRights
        /// A user of this host: `S-1-22-1-UID`.
        case user(UInt32)
        /// A group of this host: `S-1-22-2-GID`.
        case group(UInt32)
        /// Nobody on this host.
        case unknown
    }

    /// Takes an identifier of revision 1.
    ///
    /// The largest number is no user and no group: system calls take it as "leave it".
    init(text: String, authority: UInt64, subauthorities: [UInt32]) {
        self.text = text
        meaning =
            switch (authority, subauthorities) {
            case (1, [0]): .everyone
            case (3, [4]): .ownerRights
            case (5, [18]), (5, [32, 544]): .root
            default:
                if authority == 22, subauthorities.count == 2, subauthorities[1] != .max {
                    switch subauthorities[0] {
                    case 1: .user(subauthorities[1])
                    case 2: .group(subauthorities[1])
                    default: .unknown
                    }
                } else {
                    .unknown
                }
            }
    }

    /// Takes a two-letter alias in capitals; nil if SDDL has no such alias.
    init?(alias: String) {
        guard Self.aliases.contains(alias) else { return nil }
        text = alias
        meaning =
            switch alias {
            case "WD": .everyone
            case "OW": .ownerRights
            case "BA", "SY": .root
            default: .unknown
            }
    }

    /// All aliases of [MS-DTYP] §2.5.1.1.
    private static let aliases: Set<String> = [
        "AA", "AC", "AN", "AO", "AU", "BA", "BG", "BO", "BU", "CA", "CD", "CG", "CN", "CO", "CY", "DA", "DC", "DD",
        "DG",
        "DU", "EA", "ED", "ER", "ES", "HA", "HI", "IS", "IU", "LA", "LG", "LS", "LU", "LW", "ME", "MP", "MS", "MU",
        "NO",
        "NS", "NU", "OW", "PA", "PO", "PS", "PU", "RA", "RC", "RD", "RE", "RM", "RO", "RS", "RU", "SA", "SI", "SO",
        "SU",
        "SY", "UD", "WD", "WR",
    ]
}
