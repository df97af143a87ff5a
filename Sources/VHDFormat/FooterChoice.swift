internal import BlockDevice
internal import ByteIO

/// Which of a file's footers counts, and what has to be mended before the first write (formats.md §2.3).
struct FooterChoice {
    /// The footer that describes the disk.
    var footer: Footer
    /// Where the footer at the end stands; nil when there is no good one there.
    var tailOffset: UInt64?
    /// The footer at the end is one of the 511-byte ones that programs before Virtual PC 2004 wrote.
    var tailIsShort = false
    /// The copy at offset 0 is damaged or differs.
    var headNeedsRewrite = false
    /// What a user should know.
    var warnings: [String] = []
}

extension FooterChoice {
    /// Whether the end of the file says by itself, with a good checksum, that this is a VHD. A guest can't write there.
    static func hasGoodTail(_ file: any HostFile) throws(DiskError) -> Bool {
        let size = try file.size()
        guard size >= UInt64(Footer.byteCount) else { return false }
        let tail = try file.readBytes("footer", at: size - 512, count: 512)
        return switch try reading(tail, file) {
        case .good, .unknownType, .poisoned: true
        case .absent, .damaged: false
        }
    }

    /// Finds the footer that counts; nil when the file shows no trace of one.
    static func find(in file: any HostFile) throws(DiskError) -> FooterChoice? {
        let size = try file.size()
        guard size >= 511 else { return nil }
        var traces: [String] = []

        if size >= 512, let choice = try tail(file, at: size - 512, count: 512, &traces) {
            return try choice.comparedWithHead(of: file)
        }
        if size % 512 == 511, var choice = try tail(file, at: size - 511, count: 511, &traces) {
            choice.tailIsShort = true
            choice.warnings.append("the footer has 511 bytes, as programs before Virtual PC 2004 wrote it")
            return try choice.comparedWithHead(of: file)
        }
        if size >= 512, let choice = try head(file, &traces) { return choice }

        guard !traces.isEmpty else { return nil }
        throw DiskError(.footerChecksum, traces.joined(separator: "; "), path: file.path)
    }

    private static func tail(
        _ file: any HostFile,
        at offset: UInt64,
        count: Int,
        _ traces: inout [String]
    ) throws(DiskError) -> FooterChoice? {
        var bytes = try file.readBytes("footer", at: offset, count: count)
        bytes += Array(repeating: 0, count: 512 - count)
        switch try reading(bytes, file) {
        case .good(let footer):
            return FooterChoice(footer: footer, tailOffset: offset)
        case .absent:
            return nil
        case .damaged(let found, let expected):
            traces.append(checksumText("footer", offset, found, expected))
            return nil
        case .unknownType(let type):
            throw unknownType(type, at: offset, file)
        case .poisoned:
            throw poisoned(file)
        }
    }

    /// The copy at offset 0 may stand in for a lost tail, but only of a disk that has a dynamic header: the first bytes of a fixed
    /// disk belong to the guest.
    private static func head(_ file: any HostFile, _ traces: inout [String]) throws(DiskError) -> FooterChoice? {
        switch try reading(file.readBytes("footer copy", at: 0, count: 512), file) {
        case .good(let footer) where footer.diskType == .fixed:
            throw DiskError(
                .footerMissing,
                "the last 512 bytes are no VHD footer; there is one at offset 0, but it says \"fixed disk\", and a fixed disk has "
                    + "its footer only at the end. The file was probably cut short",
                path: file.path
            )
        case .good(let footer):
            guard try DynamicHeader.isPlausible(at: footer.dataOffset, in: file) else {
                traces.append("the footer copy at offset 0 leads to no dynamic header at offset \(footer.dataOffset)")
                return nil
            }
            return FooterChoice(
                footer: footer,
                warnings: ["the footer at the end is missing or damaged; its copy at offset 0 is used"]
            )
        case .absent:
            return nil
        case .damaged(let found, let expected):
            traces.append(checksumText("footer copy", 0, found, expected))
            return nil
        case .unknownType(let type):
            throw unknownType(type, at: 0, file)
        case .poisoned:
            throw poisoned(file)
        }
    }

    private func comparedWithHead(of file: any HostFile) throws(DiskError) -> FooterChoice {
        guard footer.diskType != .fixed else { return self }
        var choice = self
        let head = try file.readBytes("footer copy", at: 0, count: 512)
        guard head != footer.bytes else { return choice }
        choice.headNeedsRewrite = true
        // A 511-byte footer lacks the last reserved byte, no more.
        if tailIsShort, head.dropLast() == footer.bytes.dropLast() {
            choice.footer = footer
            return choice
        }
        if case .good = try Self.reading(head, file) {
            choice.warnings.append("the footer copy at offset 0 differs from the footer at the end, which is used")
        } else {
            choice.warnings.append("the footer copy at offset 0 is damaged; the footer at the end is used")
        }
        return choice
    }

    private static func reading(_ bytes: [UInt8], _ file: any HostFile) throws(DiskError) -> Footer.Reading {
        do {
            return try Footer.read(bytes)
        } catch {
            throw DiskError(.footerCorrupt, "the footer is cut short", path: file.path)
        }
    }

    private static func checksumText(_ what: String, _ offset: UInt64, _ found: UInt32, _ expected: UInt32) -> String {
        "\(what) at offset \(offset): checksum is \(hex(found)), its bytes give \(hex(expected))"
    }

    private static func unknownType(_ type: UInt32, at offset: UInt64, _ file: any HostFile) -> DiskError {
        DiskError(
            .footerCorrupt,
            "footer at offset \(offset): disk type is \(type), expected 2 (fixed), 3 (dynamic) or 4 (differencing)",
            path: file.path
        )
    }

    private static func poisoned(_ file: any HostFile) -> DiskError {
        DiskError(
            .unsupportedFeature,
            "Xen's tools have marked this image as unusable (cookie \"v_poison\")",
            path: file.path
        )
    }
}

/// A number as the specifications print it.
func hex(_ value: some BinaryInteger) -> String {
    "0x" + String(value, radix: 16, uppercase: true)
}
