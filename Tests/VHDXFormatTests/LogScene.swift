import BlockDevice
import ByteIO
import TestSupport
import VHDXFormat

/// A disk whose first block tells what was replayed: each entry of the log writes a page of it.
///
/// Payload is no usual target of a log, but a legal one; it makes what was applied, and in which order, plain to see.
struct LogScene {
    typealias Entry = VHDXBuilder.LogEntry

    var builder = VHDXBuilder.base()
    static let logLength: UInt64 = 1 << 20

    init(_ entries: [Entry] = []) {
        builder.logGUID = (0x40...0x4F).map { $0 }
        builder.logEntries = entries
    }

    /// Where page `page` of block 0 is in the file.
    static func place(_ page: UInt64) -> UInt64 {
        block0 + page * 4096
    }

    private static let block0 = VHDXBuilder.base().offset(ofBlock: 0)

    /// A page of one byte, with others where the descriptor keeps them: in front and at the end.
    static func page(_ byte: UInt8) -> [UInt8] {
        var page = [UInt8](repeating: byte, count: 4096)
        for i in 0..<8 { page[i] = byte ^ UInt8(i + 1) }
        for i in 4092..<4096 { page[i] = byte ^ UInt8(truncatingIfNeeded: i) }
        return page
    }

    /// An entry that fills page `page` with `byte`.
    static func entry(
        _ sequence: UInt64,
        _ page: UInt64,
        _ byte: UInt8,
        position: UInt64? = nil,
        tail: UInt32? = nil
    ) -> Entry {
        Entry(sequence, [.data(offset: place(page), page: Self.page(byte))], position: position, tail: tail)
    }

    /// What block 0 should show when these pages were written.
    func shown(_ pages: [UInt64: UInt8]) -> SparseBytes {
        var shown = builder.shown()
        for (page, byte) in pages { shown.store(Self.page(byte), at: page * 4096) }
        return shown
    }

    /// Opens the image both ways; neither changes it, and both show these pages. A first write puts all of it into the file.
    func check(_ pages: [UInt64: UInt8], entries: Int) throws {
        let content = builder.build().content
        try LogScene.check(content, shows: shown(pages), entries: entries)
    }

    static func check(_ content: SparseBytes, shows expected: SparseBytes, entries: Int) throws {
        var model = DiskModel(expected)
        let readOnly = RecordingFile(content)
        let reader = try OpenDisk(readOnly, writable: false)
        try model.check(reader.device)
        try reader.finish()
        let replayed = reader.leaf.facts.replayedEntries
        guard replayed == entries else { throw TestSupportError("\(replayed) entries were replayed, not \(entries)") }
        guard readOnly.operationCount == 0 else { throw TestSupportError("a read-only disk changed its file") }

        let written = RecordingFile(content)
        var writer = try OpenDisk(written, writable: true)
        try model.check(writer.device)
        try writer.finish()
        guard written.operationCount == 0 else { throw TestSupportError("a disk without a write changed its file") }
        writer = try OpenDisk(written, writable: true)
        try model.perform(.write([1, 2, 3], at: model.size - 100), on: writer.device)
        try writer.finish()
        let reference = try ReferenceVHDX(written.content)
        guard reference.shown() == model.bytes else {
            let offset = reference.shown().firstDifference(from: model.bytes) ?? 0
            throw TestSupportError("after a write and a replay byte \(offset) of the disk is wrong")
        }
        guard reference.logIsEmpty, reference.headersAgree, reference.regionTablesAgree else {
            throw TestSupportError("after a write the log is not empty, or the copies don't agree")
        }
    }

    /// What opening the image gives.
    func failure(writable: Bool = false) -> DiskError? {
        let recorded = RecordingFile(builder.build().content)
        do {
            _ = try OpenDisk(recorded, writable: writable)
            return nil
        } catch {
            return recorded.operationCount == 0 ? error : DiskError(.gone, "opening changed the file: \(error)")
        }
    }
}
