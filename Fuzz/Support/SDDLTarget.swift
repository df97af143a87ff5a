internal import VirtualDisk

/// A security descriptor in SDDL. An input is a byte that chooses who attaches, and the text.
///
/// * It is refused, or means what a plain evaluator says that it means.
/// * Owner, group and mode, written as a descriptor, mean themselves, whoever attaches.
public struct SDDLTarget: FuzzedFormat {
    public let name = "sddl"

    public func run(_ bytes: [UInt8]) throws(FuzzFailure) {
        guard let first = bytes.first else { return }
        let text = String(decoding: bytes.dropFirst(), as: UTF8.self)
        let ids: [UInt32] = [0, 1000, 7]
        let (owner, group) = (ids[Int(first % 3)], ids[Int(first / 3 % 3)])
        let verdict = try self.verdict(text, owner, group)
        let model = SDDLModel.judge(text, owner: owner, group: group)
        try FuzzFailure.unless(verdict == model, "\(text.debugDescription) is \(verdict), not \(model)")
        guard case .access(let owner, let group, let mode) = verdict else { return }
        let written = Self.written(owner, group, mode)
        let again = try self.verdict(written, 12, 34)
        try FuzzFailure.unless(again == verdict, "\(verdict), written as \(written), is \(again)")
    }

    private func verdict(_ text: String, _ owner: UInt32, _ group: UInt32) throws(FuzzFailure) -> SDDLModel.Verdict {
        do throws(AttachError) {
            let access = try SecurityDescriptor.parse(text).posixAccess(owner: owner, group: group)
            return .access(owner: access.owner, group: access.group, mode: access.mode)
        } catch {
            switch error.error {
            case .invalidParameter: return .malformed
            case .invalidSID: return .nobody
            default: throw FuzzFailure("it is refused with \(error)")
            }
        }
    }

    /// A descriptor that says just this: for each class what it may, and that it may not more.
    private static func written(_ owner: UInt32, _ group: UInt32, _ mode: UInt16) -> String {
        let classes = [("OW", mode >> 6), ("S-1-22-2-\(group)", mode >> 3), ("WD", mode)]
        let entries = classes.map { who, bits in
            "(A;;\(bits & 4 != 0 ? "FR" : "")\(bits & 2 != 0 ? "FW" : "");;;\(who))(D;;FA;;;\(who))"
        }
        return "O:S-1-22-1-\(owner)G:S-1-22-2-\(group)D:P" + entries.joined()
    }

    public var inputs: [[UInt8]] {
        [
            "O:BAG:BAD:(A;;GA;;;WD)", "D:P(A;;FA;;;WD)", "O:S-1-22-1-7G:S-1-22-2-9D:(A;;FR;;;OW)(D;;FW;;;S-1-22-2-9)",
            "D:NO_ACCESS_CONTROL",
            "D:PARAI(A;OICIIO;FA;;;CO)(A;;0x1f01ff;;;S-1-22-1-1000)S:AI(AU;SAFA;GA;;;WD)(ML;;NW;;;LW)",
            "O:S-1-0x000000000016-1-5",
            "D:(OA;;FA;00112233-4455-6677-8899-aabbccddeeff;;WD)(OD;;FR;;;SY)(A;;03;;;S-1-1-0)",
            "G:S-1-5-32-544D:(D;;2;;;S-1-3-4)(A;;KRKW;;;WD)(A;;4294967295;;;BU)S:",
        ]
        .enumerated().map { [UInt8($0)] + $1.utf8 }
    }

    public var words: [String] {
        let texts =
            "O: G: D: S: (A;; (D;; (OA;; (OD;; (AU;; ;;; ;;;WD) ;;;OW) ;;;BA) S-1- S-1-22-1- S-1-22-2- S-1-5-18 S-1-5-32-544 "
            + "NO_ACCESS_CONTROL P AR AI IO OICI SA FA FR FW FX GA GR GW GX CC DC KA KR KW KX NW NR 0x 0x1F01FF 4294967295 "
            + "4294967294 4294967296 00112233-4455-6677-8899-aabbccddeeff (A;;FA;;;WD) (XA;; (RA;; SY BU AN CO CG"
        return texts.split(separator: " ").map(String.init)
    }
}
