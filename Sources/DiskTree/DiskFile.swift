internal import BlockDevice
internal import FileSystem
internal import Logging
internal import Synchronization
internal import SystemPackage
internal import VirtualDisk

/// An open `disk`: the whole virtual disk as a file that never grows.
final class DiskFile: OpenFile {
    private let attachment: Attachment
    private let mode: OpenMode
    private let log: Logger
    private let tree: DiskTree
    /// It can write, and has since a copy of it was last closed.
    private let isActive: Atomic<Bool>
    let isSlow = false

    init(_ attachment: Attachment, mode: OpenMode, tree: DiskTree, log: Logger) throws(Errno) {
        self.attachment = attachment
        self.mode = mode
        self.tree = tree
        self.log = log
        isActive = Atomic(mode.writes)
        guard !mode.writes || !attachment.isReadOnly else { throw .readOnlyFileSystem }
        do {
            try attachment.didOpen(writing: mode.writes)
        } catch {
            throw error.ioErrno
        }
    }

    // MARK: Reading and writing

    func read(into buffer: inout MutableRawSpan, at offset: UInt64, caller: Caller) throws(Errno) -> Int {
        guard offset < attachment.size else { return 0 }
        let count = Int(min(UInt64(buffer.byteCount), attachment.size - offset))
        do {
            if count == buffer.byteCount {
                try attachment.read(into: &buffer, at: offset)
            } else {
                var part = buffer._mutatingExtracting(0..<count)
                try attachment.read(into: &part, at: offset)
            }
        } catch {
            throw failure(error)
        }
        return count
    }

    func write(
        _ bytes: RawSpan,
        at offset: UInt64,
        caller: Caller,
        interruption: Interruption
    ) throws(Errno) -> Int {
        guard bytes.byteCount > 0 else { return 0 }
        guard offset < attachment.size else { throw .noSpace }
        let count = Int(min(UInt64(bytes.byteCount), attachment.size - offset))
        setActive(true)
        do {
            try attachment.write(bytes.extracting(0..<count), at: offset)
            if mode.isSynchronous { try attachment.synchronize() }
        } catch {
            throw failure(error)
        }
        return count
    }

    func allocate(_ request: AllocationRequest, at offset: UInt64, count: UInt64) throws(Errno) {
        let (end, overflow) = offset.addingReportingOverflow(count)
        guard !overflow, end <= attachment.size else { throw .noSpace }
        guard request != .allocate else { return }
        setActive(true)
        do {
            try attachment.zero(offset..<end)
            if mode.isSynchronous { try attachment.synchronize() }
        } catch {
            throw failure(error)
        }
    }

    func seek(_ what: SeekTarget, from offset: UInt64) throws(Errno) -> UInt64 {
        guard offset < attachment.size else { throw .noSuchAddressOrDevice }
        var position = offset
        do {
            // A map with millions of tiny runs is not to hold up a worker. "Data here" and "no hole before the end" are always true.
            for _ in 0..<Self.seekLimit where position < attachment.size {
                let run = try attachment.allocation(at: position, limit: attachment.size)
                if run.isData == (what == .data) { return position }
                position = run.end
            }
        } catch {
            throw failure(error)
        }
        if what == .hole { return attachment.size }
        guard position < attachment.size else { throw .noSuchAddressOrDevice }
        return position
    }

    /// How many runs one `lseek` looks at.
    private static let seekLimit = 100_000

    // MARK: Durability and the end

    func synchronize() throws(Errno) {
        do {
            try attachment.synchronize()
        } catch {
            throw failure(error)
        }
    }

    func flush() throws(Errno) {
        guard mode.writes else { return }
        setActive(false)
        do {
            try attachment.completeIfUnattended()
        } catch {
            throw failure(error)
        }
    }

    private func setActive(_ value: Bool) {
        if isActive.exchange(value, ordering: .acquiringAndReleasing) != value { attachment.writer(isActive: value) }
    }

    func release() {
        // Stores through a mapping may have come after the last flush.
        try? flush()
        attachment.didClose(writing: mode.writes)
        tree.dropIfUnused(attachment)
    }

    private func failure(_ error: DiskError) -> Errno {
        switch error.kind {
        case .gone: break
        case .hasChildren:
            // Every write fails so; to be told once is enough.
            if let news = attachment.takeRefusalNews() { tree.control.note(news, of: attachment) }
        default: log.error("\(attachment.name): \(error)")
        }
        return error.ioErrno
    }
}
