/// SDDL for one disk, told once more and otherwise: cut at its delimiters, and judged for each class and right by itself.
struct SDDLModel {
    /// What a descriptor comes to.
    enum Verdict: Equatable {
        /// It is not written by the grammar.
        case malformed
        /// It is about someone whom permission bits can't name.
        case nobody
        case access(owner: UInt32, group: UInt32, mode: UInt16)
    }

    private enum Who: Equatable {
        case everyone, owner, root, unknown
        case user(UInt32)
        case group(UInt32)
    }

    private struct Entry {
        var allows: Bool
        var reads: Bool
        var writes: Bool
        var who: Who
    }

    private struct Malformed: Error {}
    private struct Nobody: Error {}

    static func judge(_ text: String, owner: UInt32, group: UInt32) -> Verdict {
        let bytes = Array(text.utf8)
        guard bytes.count <= 65_536, bytes.allSatisfy({ $0 < 0x80 }) else { return .malformed }
        let capitals = bytes.map { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) ? $0 - 32 : $0 }
        do {
            return try judge(capitals, owner, group)
        } catch {
            return error is Nobody ? .nobody : .malformed
        }
    }

    private static func judge(_ text: [UInt8], _ owner: UInt32, _ group: UInt32) throws -> Verdict {
        let parts = try parts(text)
        let named = (owner: try parts["O"].map(who), group: try parts["G"].map(who))
        let entries = try parts["D"].flatMap { try list($0, types: ["A", "D", "OA", "OD"]) }
        _ = try parts["S"].map { try list($0, types: ["AU", "AL", "ML", "SP", "TL", "OU", "OL"]) }
        // All of it is right; now what it means.
        let owner = try named.owner.map { try id($0) { if case .user(let id) = $0 { id } else { nil } } } ?? owner
        let group = try named.group.map { try id($0) { if case .group(let id) = $0 { id } else { nil } } } ?? group
        guard let entries else { return .access(owner: owner, group: group, mode: 0o666) }
        let classes = try entries.map { try Self.classes(of: $0.who, owner, group) }
        var mode: UInt16 = 0
        for (number, bit): (Int, UInt16) in [(0, 0o400), (1, 0o040), (2, 0o004)] {
            let about = zip(entries, classes).filter { $1.contains(number) }.map(\.0)
            if about.first(where: \.reads)?.allows == true { mode |= bit }
            if about.first(where: \.writes)?.allows == true { mode |= bit >> 1 }
        }
        return .access(owner: owner, group: group, mode: mode)
    }

    private static func id(_ who: Who, _ number: (Who) -> UInt32?) throws -> UInt32 {
        if who == .root { return 0 }
        guard let id = number(who) else { throw Nobody() }
        return id
    }

    /// Which of owner, group and others an entry is about.
    private static func classes(of who: Who, _ owner: UInt32, _ group: UInt32) throws -> Set<Int> {
        switch who {
        case .everyone: return [0, 1, 2]
        case .owner, .user(owner): return [0]
        case .group(group): return [1]
        case .root: return Set((owner == 0 ? [0] : []) + (group == 0 ? [1] : []))
        case .user(0): return []
        default: throw Nobody()
        }
    }

    // MARK: Grammar

    /// No part has a colon in it, so what stands before one names the next.
    private static func parts(_ text: [UInt8]) throws -> [String: ArraySlice<UInt8>] {
        let pieces = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard pieces.count > 1, pieces[0].count == 1 else { throw Malformed() }
        var parts: [String: ArraySlice<UInt8>] = [:]
        var name = string(pieces[0])
        var order = "OGDS"[...]
        for (number, piece) in pieces.dropFirst().enumerated() {
            guard name.count == 1, let place = order.firstIndex(of: Character(name)) else { throw Malformed() }
            order = order[order.index(after: place)...]
            let isLast = number == pieces.count - 2
            parts[name] = isLast ? piece : piece.dropLast()
            name = isLast ? "" : string(piece.suffix(1))
        }
        return parts
    }

    /// Nil where there is no list although one is written.
    private static func list(_ text: ArraySlice<UInt8>, types: Set<String>) throws -> [Entry]? {
        let flags = text.prefix { $0 != UInt8(ascii: "(") }
        var rest = string(flags)[...]
        var isNull = false
        while let word = ["NO_ACCESS_CONTROL", "P", "AR", "AI"].first(where: rest.hasPrefix) {
            isNull = isNull || word.count > 2
            rest = rest.dropFirst(word.count)
        }
        var pieces = text[flags.endIndex...].split(separator: UInt8(ascii: ")"), omittingEmptySubsequences: false)
        guard rest.isEmpty, pieces.removeLast().isEmpty, !isNull || pieces.isEmpty else { throw Malformed() }
        let entries = try pieces.map { piece in
            guard piece.first == UInt8(ascii: "(") else { throw Malformed() }
            return try entry(piece.dropFirst(), types)
        }
        return isNull ? nil : entries.compactMap { $0 }
    }

    /// Nil for an entry that means nothing to the object itself.
    private static func entry(_ text: ArraySlice<UInt8>, _ types: Set<String>) throws -> Entry? {
        let fields = text.split(separator: UInt8(ascii: ";"), omittingEmptySubsequences: false).map(string)
        guard fields.count == 6, types.contains(fields[0]) else { throw Malformed() }
        let flags = try pairs(fields[1])
        guard flags.allSatisfy("CI OI NP IO ID SA FA TP CR".split(separator: " ").map(String.init).contains) else {
            throw Malformed()
        }
        let (reads, writes) = try rights(fields[2])
        for object in fields[3...4] where !object.isEmpty {
            let groups = object.split(separator: "-", omittingEmptySubsequences: false)
            guard fields[0].hasPrefix("O"), groups.map(\.count) == [8, 4, 4, 4, 12],
                groups.joined().allSatisfy("0123456789ABCDEF".contains)
            else { throw Malformed() }
        }
        let who = try who(ArraySlice(fields[5].utf8))
        let allows = fields[0] == "A" || fields[0] == "OA"
        if flags.contains("IO") || allows && !fields[3].isEmpty { return nil }
        return Entry(allows: allows, reads: reads, writes: writes, who: who)
    }

    private static func rights(_ text: String) throws -> (reads: Bool, writes: Bool) {
        if text.first?.isNumber == true {
            let isHexadecimal = text.hasPrefix("0X")
            let number =
                isHexadecimal
                ? try self.number(text.dropFirst(2), radix: 16, digits: 8)
                : try self.number(text[...], radix: text.hasPrefix("0") ? 8 : 10, digits: 12)
            return (number & 0x9000_0001 != 0, number & 0x5000_0002 != 0)
        }
        let readers: Set = ["GA", "GR", "CC", "FA", "FR", "KA", "KR", "KX", "NW"]
        let writers: Set = ["GA", "GW", "DC", "FA", "FW", "KA", "KW", "NR"]
        let others: Set = ["GX", "SD", "RC", "WD", "WO", "LC", "SW", "RP", "WP", "DT", "LO", "CR", "FX", "NX"]
        let codes = Set(try pairs(text))
        guard codes.isSubset(of: readers.union(writers).union(others)) else { throw Malformed() }
        return (!codes.isDisjoint(with: readers), !codes.isDisjoint(with: writers))
    }

    private static func who(_ text: ArraySlice<UInt8>) throws -> Who {
        let text = string(text)
        guard text.hasPrefix("S-1-") else {
            let others = """
                AA AC AN AO AU BG BO BU CA CD CG CN CO CY DA DC DD DG DU EA ED ER ES HA HI IS IU LA LG LS LU LW ME MP MS MU \
                NO NS NU PA PO PS PU RA RC RD RE RM RO RS RU SA SI SO SU UD WR
                """
            switch text {
            case "WD": return .everyone
            case "OW": return .owner
            case "BA", "SY": return .root
            default:
                guard others.split(separator: " ").contains(text[...]) else { throw Malformed() }
                return .unknown
            }
        }
        let fields = text.dropFirst(4).split(separator: "-", omittingEmptySubsequences: false)
        guard (2...16).contains(fields.count) else { throw Malformed() }
        let authority =
            fields[0].hasPrefix("0X")
            ? try number(fields[0].dropFirst(2), radix: 16, digits: 12, limit: .max)
            : try number(fields[0], radix: 10, digits: 10)
        let numbers = [authority] + (try fields.dropFirst().map { try number($0, radix: 10, digits: 10) })
        switch numbers {
        case [1, 0]: return .everyone
        case [3, 4]: return .owner
        case [5, 18], [5, 32, 544]: return .root
        default:
            guard numbers.count == 3, numbers[0] == 22, let id = UInt32(exactly: numbers[2]), id < .max else {
                return .unknown
            }
            return numbers[1] == 1 ? .user(id) : numbers[1] == 2 ? .group(id) : .unknown
        }
    }

    private static func number(
        _ text: Substring,
        radix: Int,
        digits: Int,
        limit: UInt64 = UInt64(UInt32.max)
    ) throws -> UInt64 {
        // A sign would be taken too.
        guard text.count <= digits, text.allSatisfy({ $0.isHexDigit }), let number = UInt64(text, radix: radix),
            number <= limit
        else { throw Malformed() }
        return number
    }

    private static func pairs(_ text: String) throws -> [String] {
        guard text.utf8.count % 2 == 0, text.allSatisfy({ ("A"..."Z").contains($0) }) else { throw Malformed() }
        let letters = Array(text)
        return stride(from: 0, to: letters.count, by: 2).map { String(letters[$0...$0 + 1]) }
    }

    private static func string(_ bytes: some Collection<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }
}
