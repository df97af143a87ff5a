internal import BlockDevice
internal import ByteIO

/// Writes the headers and the log of one session (formats.md §3.3, §3.7, §3.11). Used under its lock only.
///
/// A flush is one entry, and each entry is its own tail: when it is written, everything of earlier ones is in place and durable. No entry
/// is longer than half of the ring, so that the one before it stays whole until the new one is durable.
struct LogWriter {
    private var header: Header
    /// The place of the header that counts; the next one goes to the other place.
    private var slot: Int
    private let log: LogPlace
    private let file: FailStopFile

    /// Where the next entry begins, relative to the log.
    private var position: UInt64 = 0
    private var sequenceNumber: UInt64 = 1

    private var hasBegun = false

    /// How many pages an entry may have.
    let pageLimit: Int

    /// Every session writes some headers; an image whose numbers end before that is only read.
    static let sequenceReserve: UInt64 = 1 << 32
    /// More pages than this make no flush cheaper.
    private static let usefulPages = 2048

    init(_ choice: HeaderChoice, log: LogPlace, file: FailStopFile) {
        header = choice.header
        slot = choice.slot
        self.log = log
        self.file = file
        let sectors = log.length / LogPlace.sectorSize
        let half = (sectors / 2 - 1) * LogPlace.sectorSize
        pageLimit = min(LogEntry.pageLimit(entryLength: half), Self.usefulPages)
    }

    /// What children would record now.
    var dataWriteGUID: GUID { header.dataWriteGUID }

    /// Whether the log must be replayed if everything ended now.
    var isOpen: Bool { header.logGUID != .zero }

    /// Before the first change of the session: the file, and the disk's data, are no longer what they were. The log has been replayed.
    mutating func beginSession() throws(DiskError) {
        guard !hasBegun else { return }
        try update { header in
            header.fileWriteGUID = .random()
            header.dataWriteGUID = .random()
            header.logGUID = .zero
        }
        hasBegun = true
    }

    /// Makes pages durable in the log. What they refer to is durable already.
    ///
    /// - Parameter fileSize: the length of the file, which is durable too.
    mutating func append(_ pages: [LogEntry.Page], fileSize: UInt64) throws(DiskError) {
        guard pages.count <= pageLimit else {
            throw DiskError(.io, "a log entry for \(pages.count) pages, at most \(pageLimit) fit", path: file.path)
        }
        // Entries of earlier sessions are still in the ring: another identifier makes them void.
        let guid = isOpen ? header.logGUID : .random()
        let entry = LogEntry.encode(
            pages,
            guid: guid,
            sequenceNumber: sequenceNumber,
            position: position,
            fileSize: fileSize
        )
        // A sector of zeros behind it: QEMU takes the oldest entry for the next one where the ring closes, and then fails.
        let bytes = entry + [UInt8](repeating: 0, count: Int(LogPlace.sectorSize))
        let first = min(bytes.count, Int(log.length - position))
        try file.write(Array(bytes[..<first]), at: log.fileOffset(of: position))
        if first < bytes.count { try file.write(Array(bytes[first...]), at: log.range.lowerBound) }
        try file.synchronize()
        position = (position + UInt64(entry.count)) % log.length
        sequenceNumber += 1
        // Only now, with a whole entry in it, may the log be looked at.
        if !isOpen { try update { $0.logGUID = guid } }
    }

    /// Everything that was logged is in place and durable: the log is empty.
    mutating func close() throws(DiskError) {
        if isOpen { try update { $0.logGUID = .zero } }
    }

    /// Writes the header twice, so that both places carry the new state; one is good at any time.
    private mutating func update(_ change: (inout Header) -> Void) throws(DiskError) {
        var next = header
        change(&next)
        for _ in Header.offsets {
            next.sequenceNumber += 1
            try file.write(next.bytes, at: Header.offsets[1 - slot])
            try file.synchronize()
            slot = 1 - slot
            header = next
        }
    }
}
