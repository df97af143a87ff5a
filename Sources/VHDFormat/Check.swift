public import BlockDevice
internal import ByteIO

extension VHDImage {
    /// Checks all structures of a file, and changes nothing. Throws where there is nothing that could be checked.
    public static func check(_ file: any HostFile) throws(DiskError) -> CheckReport {
        var check = VHDCheck(file)
        try check.run()
        return check.report
    }
}

/// A check of one VHD file: goes on behind what is damaged, as far as that tells where to look next.
struct VHDCheck {
    let file: any HostFile
    var report = CheckReport()

    init(_ file: any HostFile) {
        self.file = file
    }

    mutating func run() throws(DiskError) {
        report.subject = "VHD"
        guard let choice = try checkFooters() else { return }
        report.subject = "VHD, \(choice.footer.diskType) disk of \(choice.footer.currentSize) bytes"
        do throws(DiskError) {
            try VHDImage.check(choice.footer, file, VHDOpenOptions())
        } catch {
            return try report.record(error)
        }
        noteFooter(choice.footer)
        switch choice.footer.diskType {
        case .fixed: try checkFixed(choice)
        case .dynamic, .differencing: try checkSparse(choice)
        }
    }

    // MARK: Footers

    /// Checks both footers; nil when none of them tells where to look next.
    private mutating func checkFooters() throws(DiskError) -> FooterChoice? {
        let found: FooterChoice?
        do throws(DiskError) {
            found = try FooterChoice.find(in: file)
        } catch {
            try report.record(error)
            return nil
        }
        guard let choice = found else {
            throw DiskError(.footerMissing, "no VHD footer at the end of the file", path: file.path)
        }
        if choice.tailOffset == nil {
            let place = try file.size() - 512
            try compare(file.readBytes("footer", at: place, count: 512), with: choice.footer, "footer", at: place)
        } else if choice.footer.diskType != .fixed, choice.headNeedsRewrite {
            let copy = try file.readBytes("footer copy", at: 0, count: 512)
            try compare(copy, with: choice.footer, "footer copy", at: 0)
        }
        if choice.tailIsShort {
            report.note("the footer has 511 bytes, as programs before Virtual PC 2004 wrote it")
        }
        return choice
    }

    /// Says how a footer differs from the one that counts.
    private mutating func compare(
        _ bytes: [UInt8],
        with footer: Footer,
        _ name: String,
        at offset: UInt64
    ) throws(DiskError) {
        let what: String
        switch try? Footer.read(bytes) {
        case .absent, nil:
            what = "no footer (\"conectix\") is there"
        case .damaged(let found, let expected):
            what = "its checksum is \(hex(found)), expected \(hex(expected))"
        case .unknownType(let type):
            what = "its disk type is \(type), expected \(footer.diskType.rawValue)"
        case .poisoned:
            what = "Xen's tools have marked it as unusable"
        case .good:
            let byte = zip(bytes, footer.bytes).enumerated().first { $1.0 != $1.1 }
            guard let (index, (found, expected)) = byte else { return }
            what = "it differs from the other footer: byte \(index) is \(hex(found)), expected \(hex(expected))"
        }
        report.damage(name, at: offset, what)
    }

    private mutating func noteFooter(_ footer: Footer) {
        if footer.formatVersion != 0x0001_0000 {
            report.note("the format version is \(hex(footer.formatVersion)), not 0x10000: it is attached readonly only")
        }
        if footer.currentSize % 512 != 0 {
            report.note("the size of \(footer.currentSize) bytes is no multiple of 512: it is attached readonly only")
        }
        if footer.savedState {
            report.note("a suspended virtual machine depends on this disk: it is attached readonly only")
        }
        if footer.uniqueID == .zero {
            report.note("the unique id is zero: no other disk can name this one as its parent")
        }
    }

    // MARK: Fixed disks

    private mutating func checkFixed(_ choice: FooterChoice) throws(DiskError) {
        let size = choice.footer.currentSize
        let stored = choice.tailOffset ?? 0
        if stored < size {
            report.damage("footer", at: stored, "the disk has \(size) bytes, in front of the footer are only \(stored)")
        } else if stored > size, file.canChangeSize {
            report.leak(size..<stored, "between the end of the disk and the footer")
        } else if stored > size {
            report.note("between the end of the disk and the footer are \(stored - size) bytes")
        }
    }
}
