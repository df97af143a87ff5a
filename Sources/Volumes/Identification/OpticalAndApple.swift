internal import ByteIO

/// ISO 9660, UDF, HFS+.
extension VolumeIdentity {
    static func hfsPlus(_ probe: Probe) -> VolumeIdentity? {
        var header: UInt64 = 1024
        if probe.has("BD", at: 1024), probe.has("H+", at: 1024 + 0x7C) {
            // A wrapper of HFS: the volume inside begins so many blocks behind the first one.
            let block = UInt64(probe.integer(UInt32.self, 1024 + 0x14, .big))
            let first = UInt64(probe.integer(UInt16.self, 1024 + 0x1C, .big)) * 512
            header = 1024 + first + UInt64(probe.integer(UInt16.self, 1024 + 0x7E, .big)) * block
        } else if probe.has("BD", at: 1024) {
            return VolumeIdentity(type: "hfs", recipe: "hmount FILE")
        }
        guard probe.has("H+", at: header) || probe.has("HX", at: header) else { return nil }
        guard [4, 5].contains(probe.integer(UInt16.self, header + 2, .big)) else { return nil }
        var states: [String] = []
        let attributes = probe.integer(UInt32.self, header + 4, .big)
        if attributes & 0x100 == 0 { states.append("not cleanly unmounted") }
        if attributes & 0x800 != 0 { states.append("has errors") }
        return VolumeIdentity(
            type: "hfsplus",
            states: states,
            reader: header == 1024 ? .process(.hfsPlus) : .none,
            recipe: header == 1024 ? nil : "mount -t hfsplus -o loop,ro FILE /mnt"
        )
    }

    static func optical(_ probe: Probe) -> VolumeIdentity? {
        var iso: VolumeIdentity?
        for sector: UInt64 in 16..<32 {
            let place = sector * 2048
            guard probe.has("CD001", at: place + 1) else { break }
            switch probe.integer(UInt8.self, place) {
            case 1 where iso == nil:
                iso = VolumeIdentity(
                    type: "iso9660",
                    label: probe.text(place + 40, 32),
                    uuid: isoDate(probe, place + 830) ?? isoDate(probe, place + 813),
                    reader: .iso9660
                )
            case 2 where probe.has("%/", at: place + 88):
                if let label = probe.text16(place + 40, 32, .big) { iso?.label = label }
            case 255: break
            default: continue
            }
        }
        guard hasUDFSequence(probe) else { return iso }
        guard var found = iso else {
            return udf(probe)
        }
        found.reader = .bridge
        return found
    }

    /// A date of ISO 9660 as `blkid` makes an identifier of it.
    private static func isoDate(_ probe: Probe, _ offset: UInt64) -> String? {
        let digits = probe.bytes(offset, 16)
        guard digits.count == 16, digits.contains(where: { $0 != UInt8(ascii: "0") && $0 != 0 }) else { return nil }
        let text = String(decoding: digits, as: UTF8.self)
        guard text.utf8.count == 16, text.allSatisfy(\.isNumber) else { return nil }
        var parts: [String] = []
        var rest = Substring(text)
        for count in [4, 2, 2, 2, 2, 2, 2] {
            parts.append(String(rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
        return parts.joined(separator: "-")
    }

    /// Whether the volume recognition sequence names UDF (ECMA-167 2/9). Media with blocks of 4096 bytes space it so.
    private static func hasUDFSequence(_ probe: Probe) -> Bool {
        for step: UInt64 in [2048, 4096] {
            for index: UInt64 in 0..<64 {
                let place = 32768 + index * step
                let name = probe.bytes(place + 1, 5)
                if name == Array("NSR02".utf8) || name == Array("NSR03".utf8) { return true }
                guard ["BEA01", "BOOT2", "CD001", "CDW02", "TEA01"].contains(String(decoding: name, as: UTF8.self))
                else {
                    break
                }
            }
        }
        return false
    }

    /// UDF with its logical volume's name and the unique part of the volume set's, from the main volume descriptor sequence.
    private static func udf(_ probe: Probe) -> VolumeIdentity {
        var identity = VolumeIdentity(type: "udf", reader: .udf)
        for block: UInt64 in [2048, 512, 4096, 1024] {
            let anchor = block * 256
            guard probe.integer(UInt16.self, anchor) == 2, probe.integer(UInt32.self, anchor + 12) == 256 else {
                continue
            }
            let length = UInt64(probe.integer(UInt32.self, anchor + 16)) / block
            let start = UInt64(probe.integer(UInt32.self, anchor + 20))
            for index in 0..<min(length, 32) {
                let place = (start + index) * block
                switch probe.integer(UInt16.self, place) {
                case 1:
                    let unique = dString(probe.bytes(place + 72, 128))?.prefix(16).lowercased()
                    if let unique, unique.count == 16, unique.allSatisfy(\.isHexDigit) { identity.uuid = unique }
                case 6: identity.label = dString(probe.bytes(place + 84, 128))
                default: break
                }
            }
            break
        }
        return identity
    }

    /// A text of UDF of fixed length (OSTA UDF 2.1.3): its last byte tells how many are used, the first how they are compressed.
    private static func dString(_ bytes: [UInt8]) -> String? {
        guard let used = bytes.last, used > 1, Int(used) < bytes.count else { return nil }
        let text = bytes[1..<Int(used)]
        switch bytes[0] {
        case 8: return Probe.trimmed(String(String.UnicodeScalarView(text.map { Unicode.Scalar($0) })))
        case 16: return Probe.trimmed(decodeUTF16(text, .big))
        default: return nil
        }
    }
}
