import BlockDevice
import TestSupport

/// Says whether what a power cut has left keeps the promises.
struct Judge {
    private let session: Session
    /// Pages that writers have changed at any time, in runs of at most 64 KiB.
    private let touched: [(part: Int, range: Range<UInt64>)]
    /// Open once for all states: nobody writes to them.
    private let parents: [any ImageLayer]
    private var disk: TestDisk { session.disk }

    init(_ session: Session) throws {
        self.session = session
        let (kind, parent) = (session.disk.kind, session.disk.parent)
        parents = try parent.map { [try kind.layer(MemoryFile($0), writable: false)] } ?? []
        var touched: [(part: Int, range: Range<UInt64>)] = []
        for (part, whole) in session.parts.enumerated() {
            for page in session.diary.pages(part) {
                let range = (page * 4096..<(page + 1) * 4096).clamped(to: whole)
                if let last = touched.last, last.part == part, last.range.upperBound == range.lowerBound,
                    range.upperBound - last.range.lowerBound <= 65_536
                {
                    touched[touched.count - 1].range = last.range.lowerBound..<range.upperBound
                } else {
                    touched.append((part, range))
                }
            }
        }
        self.touched = touched
    }

    /// Opens a state, compares what it shows, and checks its structures; the file stays as it is.
    func check(_ state: SparseBytes, allowed: [[SparseBytes]]) throws {
        let file = MemoryFile(state)
        let reader = try disk.kind.open(file, over: parents, writable: false)
        for (part, range) in touched {
            let bytes = try reader.contents(range)
            // Most runs are wholly old or wholly new.
            if [allowed[part].first, allowed[part].last].contains(where: { equalBytes($0?[range] ?? [], bytes) }) {
                continue
            }
            for start in stride(from: range.lowerBound, to: range.upperBound, by: 512) {
                let sector = start..<min(range.upperBound, start + 512)
                let offset = Int(start - range.lowerBound)
                let piece = Array(bytes[offset..<offset + sector.count])
                try checkOldOrNew(piece, at: sector, allowed: allowed[part])
            }
        }
        let damage = try disk.kind.damage(in: file)
        guard damage.isEmpty else { throw TestSupportError("damaged: \(damage.map(\.text))") }
    }

    /// Compares the whole disk with what a reader says that shares no code with us; then works on, and closes in good order.
    func checkRecovery(_ state: SparseBytes, using random: inout SeededGenerator) throws {
        let kind = disk.kind
        var model = DiskModel(try kind.referenceDisk(state, over: disk.below, isClosed: false))
        var untouched = model.bytes
        for (_, range) in touched { untouched.store(disk.shown[range], at: range.lowerBound) }
        if let offset = untouched.firstDifference(from: disk.shown) {
            throw TestSupportError("byte \(offset), which nobody has touched, has changed")
        }
        let file = MemoryFile(state)
        try model.check(try kind.open(file, over: parents, writable: false))
        guard file.content == state else { throw TestSupportError("reading has changed the file") }

        let writer = try kind.open(file, over: parents, writable: true)
        for _ in 0..<3 {
            let range = random.range(in: model.size, longest: 9000)
            try model.perform(.write(random.bytes(range.count), at: range.lowerBound), on: writer)
        }
        try model.check(writer)
        try writer.finish()
        let after = try kind.referenceDisk(file.content, over: disk.below, isClosed: true)
        if let offset = after.firstDifference(from: model.bytes) {
            throw TestSupportError("byte \(offset) differs after the session that followed")
        }
    }

    /// Asks other programs about a state: the built `vhdfs check`, and QEMU where it can read the image.
    func askOthers(_ state: SparseBytes) throws {
        try withScratchFolder { scratch in
            let path = try scratch.write(state, to: disk.leafName)
            let check = try run(BuiltProgram.vhdfs, "check", path)
            // 2 is damage, which for a VHD may be the footer that a growing file does not have yet.
            let isKnown = check.status == 2 && !disk.kind.isVHDX && check.output.contains("footer")
            guard check.status == 0 || check.status == 3 || isKnown else {
                throw TestSupportError("vhdfs check: \(check.status) \(check.output) \(check.errorOutput)")
            }
            // A child needs its parent, which QEMU does not look for.
            guard !disk.kind.isDifferencing, QEMU.isThere else { return }
            let shown = try disk.kind.referenceDisk(state, over: nil, isClosed: false)
            if disk.kind.isVHDX {
                // Replays the log.
                let repair = try run("qemu-img", "check", "-q", "-r", "all", "-f", "vhdx", path)
                guard [0, 3].contains(repair.status) else { try repair.checked(); return }
                let check = try run("qemu-img", "check", "-q", "-f", "vhdx", path)
                guard [0, 3].contains(check.status) else { try check.checked(); return }
            } else if !(try ReferenceVHD(state).bitmapsAreFull) {
                return
            }
            let raw = scratch.path("raw")
            try run("qemu-img", "convert", "-f", disk.kind.isVHDX ? "vhdx" : "vpc", "-O", "raw", path, raw).checked()
            var read = try readFile(raw)
            read.resize(to: shown.count)
            if let offset = read.firstDifference(from: shown) {
                throw TestSupportError("QEMU shows another byte \(offset)")
            }
        }
    }
}

/// The other program that reads dynamic disks.
private enum QEMU {
    static let isThere = (try? run("qemu-img", "--version").succeeded) ?? false
}
