internal import ByteIO

extension VHDBuilder {
    /// The 512 bytes of a footer, edits applied.
    public func footer(_ structure: Structure) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 512)
        let geometry = Self.geometry(of: size)
        bytes.store(Array("conectix".utf8), at: 0)
        bytes.store(UInt32(2), at: 8, .big)
        bytes.store(UInt32(0x0001_0000), at: 12, .big)
        bytes.store(subtype == .fixed ? UInt64.max : headerOffset, at: 16, .big)
        bytes.store(timestamp, at: 24, .big)
        bytes.store(Array(creator.utf8), at: 28)
        bytes.store(creatorVersion, at: 32, .big)
        bytes.store(Array(hostSystem.utf8), at: 36)
        bytes.store(size, at: 40, .big)
        bytes.store(size, at: 48, .big)
        bytes.store(geometry.cylinders, at: 56, .big)
        bytes[58] = geometry.heads
        bytes[59] = geometry.sectors
        bytes.store(subtype.rawValue, at: 60, .big)
        bytes.store(uniqueID, at: 68)
        bytes[84] = savedState
        return finish(bytes, structure, checksumAt: 64)
    }

    /// The 1024 bytes of a dynamic header, edits applied.
    func header(tableOffset: UInt64, locatorOffsets: [UInt64]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 1024)
        bytes.store(Array("cxsparse".utf8), at: 0)
        bytes.store(UInt64.max, at: 8, .big)
        bytes.store(tableOffset, at: 16, .big)
        bytes.store(UInt32(0x0001_0000), at: 24, .big)
        bytes.store(UInt32(truncatingIfNeeded: entryCount), at: 28, .big)
        bytes.store(blockSize, at: 32, .big)
        bytes.store(parentID, at: 40)
        bytes.store(parentTimestamp, at: 56, .big)
        bytes.store(Array(encodeUTF16(parentName, .big).prefix(512)), at: 64)
        for (index, locator) in locators.prefix(8).enumerated() {
            let entry = 576 + index * 24
            let space = UInt32(roundUp(max(1, UInt64(locator.bytes.count)), 512))
            bytes.store(Array(locator.code.utf8), at: entry)
            bytes.store(locator.space ?? space, at: entry + 4, .big)
            bytes.store(locator.length ?? UInt32(locator.bytes.count), at: entry + 8, .big)
            bytes.store(locator.claimedOffset ?? locatorOffsets[index], at: entry + 16, .big)
        }
        return finish(bytes, .header, checksumAt: 36)
    }

    private func finish(_ bytes: [UInt8], _ structure: Structure, checksumAt offset: Int) -> [UInt8] {
        var bytes = bytes
        let edits = edits.filter { $0.structures.contains(structure) }
        for edit in edits where edit.fixesChecksum { bytes.store(edit.bytes, at: edit.offset) }
        bytes.store(UInt32(0), at: offset, .big)
        bytes.store(checksum(bytes), at: offset, .big)
        for edit in edits where !edit.fixesChecksum { bytes.store(edit.bytes, at: edit.offset) }
        return bytes
    }

    /// Cylinders, heads and sectors of a disk (`formats.md` §2.7).
    public static func geometry(of size: UInt64) -> (cylinders: UInt16, heads: UInt8, sectors: UInt8) {
        let total = min(size / 512, 65535 * 16 * 255)
        if total >= 65535 * 16 * 63 { return (UInt16(total / 255 / 16), 16, 255) }
        var sectors: UInt64 = 17
        var tracks = total / 17
        var heads = max(4, (tracks + 1023) / 1024)
        if tracks >= heads * 1024 || heads > 16 {
            (sectors, heads, tracks) = (31, 16, total / 31)
        }
        if tracks >= heads * 1024 {
            (sectors, heads, tracks) = (63, 16, total / 63)
        }
        return (UInt16(tracks / heads), UInt8(heads), UInt8(sectors))
    }
}

/// The complement of the sum of all bytes (`formats.md` §2.2).
func checksum(_ bytes: [UInt8]) -> UInt32 {
    ~bytes.reduce(into: UInt32(0)) { $0 &+= UInt32($1) }
}

/// The next multiple of `unit` that is not below `value`.
func roundUp(_ value: UInt64, _ unit: UInt64) -> UInt64 {
    (value + unit - 1) / unit * unit
}

/// An integer as big-endian bytes.
public func bigEndian(_ value: some FixedWidthInteger & UnsignedInteger) -> [UInt8] {
    (0..<value.bitWidth / 8).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
}
