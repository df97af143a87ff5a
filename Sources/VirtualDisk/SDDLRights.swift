/// The access rights of SDDL, as bits of an ACCESS_MASK ([MS-DTYP] §2.4.3, sddl.h, winnt.h).
enum SDDLRights {
    static let fileReadData: UInt32 = 0x0000_0001
    static let fileWriteData: UInt32 = 0x0000_0002
    static let genericAll: UInt32 = 0x1000_0000
    static let genericWrite: UInt32 = 0x4000_0000
    static let genericRead: UInt32 = 0x8000_0000

    /// The bits of a two-letter code in capitals.
    static let codes: [String: UInt32] = [
        // Generic
        "GA": genericAll, "GX": 0x2000_0000, "GW": genericWrite, "GR": genericRead,
        // Standard: delete, read the descriptor, change its DACL, change its owner
        "SD": 0x0001_0000, "RC": 0x0002_0000, "WD": 0x0004_0000, "WO": 0x0008_0000,
        // Specific, in the names of directory objects; for a file the first two are to read and to write data
        "CC": 0x001, "DC": 0x002, "LC": 0x004, "SW": 0x008, "RP": 0x010, "WP": 0x020, "DT": 0x040, "LO": 0x080,
        "CR": 0x100,
        // Files
        "FA": 0x001F_01FF, "FR": 0x0012_0089, "FW": 0x0012_0116, "FX": 0x0012_00A0,
        // Registry keys
        "KA": 0x000F_003F, "KR": 0x0002_0019, "KW": 0x0002_0006, "KX": 0x0002_0019,
        // Mandatory labels
        "NW": 0x1, "NR": 0x2, "NX": 0x4,
    ]
}
