import Testing
import VirtualDisk

/// What a descriptor means for a disk that user 1000 of group 100 attaches.
private func access(_ sddl: String) throws(AttachError) -> PosixAccess {
    try SecurityDescriptor.parse(sddl).posixAccess(owner: 1000, group: 100)
}

private func mode(_ sddl: String) throws(AttachError) -> String {
    "0" + String(try access(sddl).mode, radix: 8)
}

/// The error that a descriptor gives, in reading it or in what it means.
private func failure(_ sddl: String) -> AttachError? {
    do throws(AttachError) {
        _ = try access(sddl)
        return nil
    } catch {
        return error
    }
}

@Suite struct SecurityDescriptorMeaningTests {
    /// The descriptor of Microsoft's sample, and those of its disk service.
    @Test func everyoneHasAllInTheWellKnownDescriptors() throws {
        #expect(try access("O:BAG:BAD:(A;;GA;;;WD)") == PosixAccess(owner: 0, group: 0, mode: 0o666))
        #expect(try access("D:P(A;;FA;;;WD)") == PosixAccess(owner: 1000, group: 100, mode: 0o666))
    }

    @Test(
        arguments: [
            ("O:S-1-22-1-7", 7, 100), ("O:S-1-22-1-0G:S-1-22-2-4294967294", 0, 4_294_967_294),
            ("G:S-1-22-2-5", 1000, 5),
            ("O:SYG:SY", 0, 0), ("O:S-1-5-32-544G:S-1-5-18", 0, 0), ("o:bag:s-1-22-2-9", 0, 9),
        ] as [(String, UInt32, UInt32)]
    )
    func namesOwnerAndGroup(sddl: String, owner: UInt32, group: UInt32) throws {
        #expect(try access(sddl) == PosixAccess(owner: owner, group: group, mode: 0o666))
    }

    @Test(arguments: [
        // No DACL, a NULL DACL, an empty one.
        ("O:BA", "0666"), ("S:", "0666"), ("D:NO_ACCESS_CONTROL", "0666"), ("D:PNO_ACCESS_CONTROLAI", "0666"),
        ("D:", "00"), ("D:PARAI", "00"), ("D:S:", "00"),
        // Who
        ("D:(A;;FA;;;OW)", "0600"), ("D:(A;;FA;;;S-1-3-4)", "0600"), ("D:(A;;FA;;;S-1-22-1-1000)", "0600"),
        ("D:(A;;FA;;;S-1-22-2-100)", "060"), ("D:(A;;FA;;;S-1-1-0)", "0666"), ("D:(A;;FA;;;BA)", "00"),
        ("D:(A;;FA;;;S-1-22-1-0)", "00"), ("O:BAD:(A;;FA;;;BA)", "0600"), ("O:BAG:SYD:(A;;FA;;;SY)", "0660"),
        ("G:BAD:(A;;FA;;;BA)", "060"), ("O:S-1-22-1-7D:(A;;FA;;;S-1-22-1-7)", "0600"),
        // What
        ("D:(A;;GR;;;WD)", "0444"), ("D:(A;;GW;;;WD)", "0222"), ("D:(A;;GA;;;WD)", "0666"), ("D:(A;;GX;;;WD)", "00"),
        ("D:(A;;GRGW;;;WD)", "0666"), ("D:(A;;FR;;;WD)", "0444"), ("D:(A;;FW;;;WD)", "0222"), ("D:(A;;FX;;;WD)", "00"),
        ("D:(A;;FRFX;;;WD)", "0444"), ("D:(A;;CC;;;WD)", "0444"), ("D:(A;;DC;;;WD)", "0222"),
        ("D:(A;;LCSWRPWPDTLOCR;;;WD)", "00"), ("D:(A;;SDRCWDWO;;;WD)", "00"), ("D:(A;;KA;;;WD)", "0666"),
        ("D:(A;;KR;;;WD)", "0444"), ("D:(A;;KW;;;WD)", "0222"), ("D:(A;;KX;;;WD)", "0444"), ("D:(A;;;;;WD)", "00"),
        ("D:(A;;0x1;;;WD)", "0444"), ("D:(A;;0x1f01ff;;;WD)", "0666"), ("D:(A;;0X80000000;;;WD)", "0444"),
        ("D:(A;;2;;;WD)", "0222"), ("D:(A;;4294967295;;;WD)", "0666"), ("D:(A;;03;;;WD)", "0666"),
        ("D:(A;;010;;;WD)", "00"),
        ("D:(A;;0;;;WD)", "00"), ("D:(a;;fr;;;wd)", "0444"),
        // In which order
        ("D:(A;;FR;;;WD)(A;;FW;;;OW)", "0644"), ("D:(D;;FW;;;WD)(A;;FA;;;WD)", "0444"),
        ("D:(A;;FA;;;WD)(D;;FA;;;WD)", "0666"), ("D:(D;;FA;;;OW)(A;;FA;;;WD)", "066"),
        ("D:(A;;FR;;;OW)(D;;FA;;;WD)(A;;FA;;;S-1-22-2-100)", "0400"), ("D:(D;;GA;;;S-1-22-2-100)(A;;GA;;;WD)", "0606"),
        ("D:(A;;FA;;;OW)(A;;FR;;;S-1-22-2-100)", "0640"), ("D:(D;;SD;;;WD)(A;;GA;;;WD)", "0666"),
        ("D:(D;;FR;;;WD)(A;;GA;;;OW)", "0200"), ("D:(D;;FA;;;BA)(A;;FA;;;WD)", "0666"),
        ("O:BAD:(D;;FA;;;SY)(A;;FA;;;WD)", "066"),
        // Entries without effect on the object itself
        ("D:(A;IO;FA;;;WD)", "00"), ("D:(A;OICIIO;FA;;;CO)(A;OICI;FR;;;WD)", "0444"),
        ("D:(D;IO;FA;;;WD)(A;;FA;;;WD)", "0666"),
        ("D:(A;CIOINPIDSAFATPCR;FA;;;WD)", "0666"),
        ("D:(OA;;FA;;;WD)", "0666"), ("D:(OD;;FR;;;WD)(A;;FA;;;WD)", "0222"),
        ("D:(OA;;FA;00112233-4455-6677-8899-aabbccddeeff;;WD)", "00"),
        ("D:(OD;;FR;00112233-4455-6677-8899-aabbccddeeff;;WD)(A;;FA;;;WD)", "0222"),
        ("D:(OA;;FA;;00112233-4455-6677-8899-AABBCCDDEEFF;WD)", "0666"),
        // The system ACL
        (
            "D:(A;;FR;;;WD)S:AI(AU;SAFA;GA;;;WD)(ML;;NWNRNX;;;LW)(OU;;CR;00112233-4455-6677-8899-aabbccddeeff;;AU)",
            "0444"
        ),
        ("S:P(AL;;FA;;;BU)(OL;;FA;;;DA)(SP;;;;;S-1-17-1)(TL;;0x1;;;S-1-19-512-4096)", "0666"),
    ])
    func evaluatesAsWindowsDoes(sddl: String, expected: String) throws {
        #expect(try mode(sddl) == expected)
    }

    @Test(arguments: [
        ("O:WD", "WD"), ("O:OW", "OW"), ("O:S-1-22-2-5", "S-1-22-2-5"), ("G:S-1-22-1-5", "S-1-22-1-5"), ("G:WD", "WD"),
        ("O:LA", "LA"), ("G:DU", "DU"), ("O:S-1-22-1-4294967295", "S-1-22-1-4294967295"),
        ("O:S-1-5-21-1-2-3-500", "S-1-5-21-1-2-3-500"), ("O:S-1-22-1", "S-1-22-1"), ("O:S-1-22-3-1", "S-1-22-3-1"),
        ("O:S-1-22-1-1-1", "S-1-22-1-1-1"), ("O:S-1-5-32-545", "S-1-5-32-545"), ("O:S-1-0-0", "S-1-0-0"),
        ("D:(A;;FA;;;CO)", "CO"), ("D:(A;;FA;;;AU)", "AU"), ("D:(A;;FA;;;BU)", "BU"), ("D:(D;;FA;;;AN)", "AN"),
        ("D:(A;;FA;;;S-1-22-1-1001)", "S-1-22-1-1001"), ("D:(A;;FA;;;s-1-22-2-0)", "S-1-22-2-0"),
        ("D:(A;;FA;;;WD)(A;;FA;;;S-1-5-21-4-5-6-1000)", "S-1-5-21-4-5-6-1000"), ("O:S-1-0x000000000016-1-5G:CG", "CG"),
    ])
    func namesWhoIsNobodyHere(sddl: String, identifier: String) throws {
        let error = try #require(failure(sddl))
        #expect(error.error == .invalidSID)
        #expect(error.text.contains(" \(identifier) "))
    }

    @Test func readsAHexadecimalAuthority() throws {
        #expect(try access("O:S-1-0x000000000016-1-5").owner == 5)
    }
}

@Suite struct SecurityDescriptorGrammarTests {
    @Test(arguments: [
        ("", "at its end", "O:, G:, D: or S:"), ("X:", "character 1 ('X')", "O:, G:, D: or S:"),
        (" D:", "character 1", "O:"),
        ("G:BAO:BA", "character 5 ('O')", "in this order"), ("D:D:", "character 3 ('D')", "at most once"),
        ("O:BA ", "character 5", "in this order"), ("ü", "character 1", "O:"), ("O:ü", "character 3", "SID"),
        ("O:", "at its end", "SID"), ("O:B", "character 3 ('B')", "SID"), ("O:QQ", "character 3 ('Q')", "alias"),
        ("O:S-2-5", "character 5 ('2')", "revision 1"), ("O:S-1-", "at its end", "number"),
        ("O:S-1-5", "at its end", "subauthority"),
        ("O:S-1-5-", "at its end", "number"), ("O:S-1-5-4294967296", "character 18 ('6')", "4294967295"),
        ("O:S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16", "character 45 ('1')", "15 subauthorities"),
        ("O:S-1-0xG-1", "character 9 ('G')", "number"), ("O:S-1-99999999999-1", "not above", "4294967295"),
        ("D:(", "at its end", "type"), ("D:()", "character 4", "type"),
        ("D:(Q;;;;;WD)", "character 4 ('Q')", "A, D, OA or OD"),
        ("D:(AU;;FA;;;WD)", "character 4", "A, D, OA or OD in D:"), ("S:(A;;FA;;;WD)", "character 4", "AU, AL"),
        ("D:(A)", "character 5 (')')", "behind the entry's type"), ("D:(A;QQ;FA;;;WD)", "character 6 ('Q')", "no flag"),
        ("D:(A;OIC;FA;;;WD)", "character 8 ('C')", "flags"), ("D:(A;;ZZ;;;WD)", "character 7 ('Z')", "no right"),
        ("D:(A;;FAF;;;WD)", "character 9 ('F')", "rights"), ("D:(A;;0x;;;WD)", "character 9 (';')", "number"),
        ("D:(A;;0x100000000;;;WD)", "character 17 ('0')", "at most 8 digits"),
        ("D:(A;;4294967296;;;WD)", "character 16", "not above"),
        ("D:(A;;08;;;WD)", "character 8 ('8')", "rights"), ("D:(A;;-1;;;WD)", "character 7 ('-')", "rights"),
        ("D:(A;;FA;0;;WD)", "character 10 ('0')", "only entries of type OA or OD"),
        ("D:(OA;;FA;0;;WD)", "character 12 (';')", "GUID"),
        ("D:(OA;;FA;00112233-4455-6677-8899-aabbccddeef;;WD)", "GUID", "8-4-4-4-12"),
        ("D:(OA;;FA;00112233-4455-6677-8899-aabbccddeefff;;WD)", "character 47", "12 digits"),
        ("D:(A;;FA;;;)", "character 12 (')')", "SID"), ("D:(A;;FA;;;WD", "at its end", "closing parenthesis"),
        ("D:(A;;FA;;;WD))", "character 15 (')')", "O:"), ("D:(A;;FA;;;WD;x)", "character 14 (';')", "conditions"),
        ("D:((A;;FA;;;WD))", "character 4 ('(')", "type"),
        ("D:(XA;;FX;;;WD;(@User.Title==\"PM\"))", "character 4 ('X')", "condition"),
        ("S:(RA;;;;;WD;(\"x\",TI,0,1))", "character 4 ('R')", "resource attributes"),
        ("D:(A;;FA;;;WD)NO_ACCESS_CONTROL", "character 15 ('N')", "O:"),
        ("D:NO_ACCESS_CONTROL(A;;FA;;;WD)", "character 20 ('(')", "exclude"),
        ("D:NO_ACCESS", "character 3 ('N')", "O:"),
    ])
    func saysWhereAndWhatWasExpected(sddl: String, place: String, expected: String) throws {
        let error = try #require(failure(sddl), "\(sddl) was taken")
        #expect(error.error == .invalidParameter)
        #expect(error.text.contains(place), "\(error.text)")
        #expect(error.text.contains(expected), "\(error.text)")
    }

    @Test func knowsEveryAlias() throws {
        for alias in [
            "DA", "DG", "DU", "ED", "DD", "DC", "BA", "BG", "BU", "LA", "LG", "AO", "BO", "PO", "SO", "AU", "PS", "CO",
            "CG", "SY",
            "PU", "WD", "RE", "IU", "NU", "SU", "RC", "WR", "AN", "SA", "CA", "RS", "EA", "PA", "RU", "LS", "NS", "RD",
            "NO", "MU",
            "LU", "IS", "CY", "OW", "ER", "RO", "CD", "AC", "RA", "ES", "MS", "UD", "HA", "CN", "AA", "RM", "LW", "ME",
            "MP", "HI",
            "SI",
        ] {
            #expect(try SecurityDescriptor.parse("O:\(alias)").owner?.text == alias)
        }
    }

    @Test func boundsTheLength() throws {
        let entry = "(A;;FA;;;WD)"
        let most = "D:" + String(repeating: entry, count: 5461)
        #expect(try access(most).mode == 0o666)
        let error = try #require(failure(most + entry))
        #expect(error.error == .invalidParameter)
        #expect(error.text.contains("65536"))
        #expect(failure("D:" + String(repeating: "(", count: 65_000)) != nil)
        #expect(failure("O:S-1-" + String(repeating: "9", count: 65_000)) != nil)
    }

    @Test func garbageNeverTraps() {
        var numbers = RepeatableNumbers(state: 1)
        let pieces = [
            "O:", "G:", "D:", "S:", "(", ")", ";", ";;", ";;;", "A", "D", "OA", "OD", "AU", "XA", "P", "AR", "AI",
            "NO_ACCESS_CONTROL", "IO",
            "OICI", "FA", "FR", "GA", "0x", "0", "9", "4294967296", "WD", "BA", "OW", "S-1-", "22-1-", "-", "1000", "ü",
            "\u{0}", " ",
            "00112233-4455-6677-8899-aabbccddeeff", "(A;;FA;;;WD)", "(D;IO;GR;;;S-1-22-1-5)", "D:(A;;",
            "18446744073709551616",
        ]
        var taken = 0
        for _ in 0..<100_000 {
            var sddl = ""
            for _ in 0..<Int.random(in: 0...12, using: &numbers) {
                sddl += pieces.randomElement(using: &numbers) ?? ""
            }
            guard let error = failure(sddl) else {
                taken += 1
                continue
            }
            if error.error != .invalidParameter && error.error != .invalidSID { Issue.record("\(sddl): \(error)") }
        }
        #expect(taken > 100)
    }
}

/// The same numbers at each run, so that a failure can be repeated (xorshift64).
private struct RepeatableNumbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}
