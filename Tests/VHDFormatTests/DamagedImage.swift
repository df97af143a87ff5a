import BlockDevice
import ByteIO
import TestSupport
import Testing

/// One row of the table of damaged images (`formats.md` §6.1): a file, and what opening it must do.
struct DamagedImage: CustomTestStringConvertible {
    /// What opening must do.
    enum Verdict {
        /// It opens, and shows the disk.
        case opens
        /// It opens with a warning, and shows the disk.
        case warns
        /// It is refused with one of these kinds.
        case refused(Set<DiskError.Kind>)

        static func refused(_ kinds: DiskError.Kind...) -> Verdict { .refused(Set(kinds)) }
    }

    var name: String
    var file: SparseBytes
    /// What the disk shows where it opens; nil where that is not compared.
    var shown: SparseBytes?
    var readOnly: Verdict
    var writable: Verdict
    /// What must hold for the file after a byte was written and the disk was finished.
    var repaired = true

    var testDescription: String { name }

    init(
        _ name: String,
        _ builder: VHDBuilder,
        _ readOnly: Verdict,
        writable: Verdict? = nil,
        change: (inout VHDBuilder) -> Void = { _ in }
    ) {
        var builder = builder
        change(&builder)
        self.name = name
        file = builder.build().content
        shown = builder.shown()
        self.readOnly = readOnly
        self.writable = writable ?? readOnly
    }

    /// Takes a file that the builder alone can't make.
    init(_ name: String, file: SparseBytes, shown: SparseBytes? = nil, _ readOnly: Verdict, writable: Verdict? = nil) {
        self.name = name
        self.file = file
        self.shown = shown
        self.readOnly = readOnly
        self.writable = writable ?? readOnly
    }

    func check() throws {
        try check(writable: false, readOnly)
        try check(writable: true, writable)
    }

    private func check(writable: Bool, _ verdict: Verdict) throws {
        let recorded = RecordingFile(file)
        let disk: OpenDisk
        do {
            disk = try OpenDisk(recorded, writable: writable)
        } catch {
            #expect(recorded.operationCount == 0, "opening changed the file")
            guard case .refused(let kinds) = verdict else {
                throw TestSupportError("\(name), writable \(writable): refused with \(error.kind), \(error)")
            }
            #expect(kinds.contains(error.kind), "\(name), writable \(writable): \(error.kind), not \(kinds): \(error)")
            #expect(!error.text.isEmpty)
            return
        }
        if case .refused(let kinds) = verdict {
            throw TestSupportError("\(name), writable \(writable): opens instead of failing with \(kinds)")
        }
        if case .warns = verdict {
            #expect(!disk.warnings.isEmpty, "\(name), writable \(writable): no warning")
        }
        if let shown {
            if shown.count < 1 << 30 {
                try note("\(name), writable \(writable)") { try DiskModel(shown).check(disk.device) }
            } else {
                #expect(disk.device.size == shown.count)
            }
        }
        #expect(recorded.operationCount == 0, "\(name): opening or reading changed the file")
        if writable { try checkWriting(disk, recorded) }
    }

    private func checkWriting(_ disk: OpenDisk, _ recorded: RecordingFile) throws {
        guard var shown, shown.count < 1 << 30 else { return }
        try disk.device.store([0x5A], at: shown.count / 2)
        try disk.finish()
        shown.store([0x5A], at: shown.count / 2)
        guard try recorded.content.isSparseVHD() else { return }
        let reference = try ReferenceVHD(recorded.content)
        #expect(reference.shown() == shown, "\(name): another byte than the written one changed")
        #expect(reference.footersAgree, "\(name): not repaired by the first write")
    }
}

extension SparseBytes {
    /// Whether the last footer says that the file is dynamic or differencing.
    fileprivate func isSparseVHD() throws -> Bool {
        try [3, 4].contains(self[count - 512..<count].load(UInt32.self, at: 60, .big))
    }
}
