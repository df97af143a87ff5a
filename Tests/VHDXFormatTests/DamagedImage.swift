import BlockDevice
import TestSupport
import Testing

/// One row of the table of damaged images (`formats.md` §6.2): a file, and what opening it must do.
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
    /// Makes the file. The files of all rows together would fill the memory.
    var builder: VHDXBuilder
    var readOnly: Verdict
    var writable: Verdict
    /// Whether the first write can't repair it.
    var staysDamaged: Bool

    var testDescription: String { name }

    init(
        _ name: String,
        _ readOnly: Verdict,
        writable: Verdict? = nil,
        staysDamaged: Bool = false,
        of builder: VHDXBuilder = .base(),
        change: (inout VHDXBuilder) -> Void = { _ in }
    ) {
        var builder = builder
        change(&builder)
        self.name = name
        self.builder = builder
        self.readOnly = readOnly
        self.writable = writable ?? readOnly
        self.staysDamaged = staysDamaged
    }

    func check() throws {
        try check(writable: false, readOnly)
        try check(writable: true, writable)
    }

    private func check(writable: Bool, _ verdict: Verdict) throws {
        let recorded = RecordingFile(builder.build().content)
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
        do { try DiskModel(builder.shown()).check(disk.device) } catch {
            throw TestSupportError("\(name), writable \(writable): \(error)")
        }
        #expect(recorded.operationCount == 0, "\(name): opening or reading changed the file")
        if writable { try checkWriting(disk, recorded) }
    }

    /// The first write repairs what is damaged, and changes nothing else.
    private func checkWriting(_ disk: OpenDisk, _ recorded: RecordingFile) throws {
        var shown = builder.shown()
        try disk.device.store([0x5A], at: shown.count / 2)
        try disk.finish()
        shown.store([0x5A], at: shown.count / 2)
        if staysDamaged {
            try DiskModel(shown).check(OpenDisk(MemoryFile(recorded.content), writable: false).device)
            return
        }
        let reference: ReferenceVHDX
        do { reference = try ReferenceVHDX(recorded.content) } catch {
            throw TestSupportError("\(name): after a write: \(error)")
        }
        #expect(reference.shown() == shown, "\(name): another byte than the written one changed")
        #expect(reference.headersAgree, "\(name): headers not repaired by the first write")
        #expect(reference.regionTablesAgree, "\(name): region tables not repaired by the first write")
        #expect(reference.logIsEmpty, "\(name): the log is not empty")
    }
}

extension VHDXBuilder {
    /// A sound disk of 12 MiB in blocks of 1 MiB, of which four are stored; in the middle there is none.
    static func base(_ subtype: Subtype = .dynamic) -> VHDXBuilder {
        subtype == .differencing ? baseChild : baseDisk
    }

    private static let baseDisk = makeBase(.dynamic)
    private static let baseChild = makeBase(.differencing)

    private static func makeBase(_ subtype: Subtype) -> VHDXBuilder {
        var builder = VHDXBuilder(subtype, size: 12 << 20, blockSize: 1 << 20)
        for block in [0, 2, 3, 5] as [UInt64] {
            builder.blocks[block] = .full
            builder.disk.store([UInt8](repeating: UInt8(block + 1), count: 1 << 20), at: block << 20)
        }
        builder.order = [3, 0, 5, 2]
        if subtype == .differencing {
            builder.parentPairs = [
                Pair("parent_linkage", "{12345678-9abc-def0-1234-56789abcdef0}"), Pair("relative_path", ".\\p.vhdx"),
            ]
        }
        return builder
    }

    /// Where a block of this image is.
    func offset(ofBlock block: UInt64) -> UInt64 {
        build().blockOffsets[block] ?? 0
    }

    /// Changes the field of an item of the metadata region, wherever that is.
    mutating func change(_ guid: [UInt8], _ change: (inout Item) -> Void) {
        var items = items ?? standardItems
        for index in items.indices where items[index].guid == guid { change(&items[index]) }
        self.items = items
    }
}
