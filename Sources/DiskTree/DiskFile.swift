internal import BlockDevice
internal import FileSystem
internal import Logging
internal import Platform
internal import Synchronization
internal import SystemPackage
internal import VirtualDisk

/// An open `disk`, or an open partition of it: a range of bytes as a file that never grows.
final class DiskFile: OpenFile {
    private let disk: ShownDisk
    private let attachment: Attachment
    let node: NodeID
    let openingThread: Int32
    /// Where its bytes lie on the disk.
    private let range: Range<UInt64>
    private let mode: OpenMode
    /// Whether the kernel keeps no pages for it.
    let goesPastPages: Bool
    private let log: Logger
    private let tree: DiskTree
    /// It can write, and has since a copy of it was last closed.
    private let isActive: Atomic<Bool>
    private let didWrite = Atomic(false)
    /// Opened with O_TRUNC. Nothing is cut off, but what the program leaves out before and between its writes it takes for zeros, as `cp` does
    /// with the holes of its source; so that is zeroed. What lies behind its last write stays.
    private let isTruncated = Atomic(false)
    /// Where its writes have come to.
    private let written = Locked<UInt64>(0)
    let isSlow = false

    init(
        _ disk: ShownDisk,
        _ node: NodeID,
        range: Range<UInt64>,
        mode: OpenMode,
        caller: Caller,
        tree: DiskTree,
        log: Logger
    ) throws(Errno) {
        self.disk = disk
        self.node = node
        openingThread = caller.thread
        self.range = range.clamped(to: 0..<disk.attachment.size)
        attachment = disk.attachment
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
        goesPastPages = disk.didOpen(node, mode) && tree.kernelCache?.canWritePastPages == true
        if !goesPastPages { disk.coherence.didOpen(node, range: self.range, isDirect: mode.isDirect) }
        if mode.writes { disk.didOpenWriter(self) }
    }

    private var size: UInt64 { range.upperBound - range.lowerBound }

    // MARK: Reading and writing

    func read(into buffer: inout MutableRawSpan, at offset: UInt64, caller: Caller) throws(Errno) -> Int {
        guard offset < size else { return 0 }
        let count = Int(min(UInt64(buffer.byteCount), size - offset))
        do {
            if count == buffer.byteCount {
                try attachment.read(into: &buffer, at: range.lowerBound + offset)
            } else {
                var part = buffer._mutatingExtracting(0..<count)
                try attachment.read(into: &part, at: range.lowerBound + offset)
            }
        } catch {
            throw failure(error)
        }
        return count
    }

    func hostBytes(at offset: UInt64, count: Int) throws(Errno) -> HostBytes? {
        guard offset < size else { return nil }
        let start = range.lowerBound + offset
        do {
            return try attachment.hostBytes(of: start..<start + min(UInt64(count), size - offset))
        } catch {
            throw failure(error)
        }
    }

    func write(
        _ bytes: RawSpan,
        at offset: UInt64,
        origin: WriteOrigin,
        caller: Caller,
        interruption: Interruption
    ) throws(Errno) -> Int {
        guard bytes.byteCount > 0 else { return 0 }
        guard offset < size else { throw .noSpace }
        let count = Int(min(UInt64(bytes.byteCount), size - offset))
        let place = range.lowerBound + offset
        setActive(true)
        didWrite.store(true, ordering: .relaxed)
        if isTruncated.load(ordering: .acquiring) { try zeroSkipped(upTo: offset, next: offset + UInt64(count)) }
        // A write that fails may have changed a part of it.
        defer { didChange(place..<place + UInt64(count), origin) }
        do {
            try attachment.write(bytes.extracting(0..<count), at: place)
            if mode.isSynchronous { try attachment.synchronize() }
        } catch {
            if origin == .pages {
                disk.coherence.didFail(place..<place + UInt64(count), of: node, kernel: tree.kernelCache)
            }
            throw failure(error)
        }
        return count
    }

    // MARK: O_TRUNC

    /// It was opened with O_TRUNC. Who can read too sees that nothing has been cut off.
    func didTruncate() {
        if !mode.reads, !didWrite.load(ordering: .relaxed) { isTruncated.store(true, ordering: .releasing) }
    }

    /// `ftruncate` to the length that it has: how programs end a file with a hole.
    func didExtend() throws(Errno) {
        if isTruncated.load(ordering: .acquiring) { try zeroSkipped(upTo: size, next: size) }
    }

    private func zeroSkipped(upTo offset: UInt64, next: UInt64) throws(Errno) {
        // Behind the lock may be who waits for the host.
        guard !attachment.left.areMany else { throw .timedOut }
        try written.withLock { (written) throws(Errno) in
            if offset > written {
                let skipped = range.lowerBound + written..<range.lowerBound + offset
                defer { didChange(skipped, .direct) }
                do throws(DiskError) {
                    try attachment.zero(skipped)
                } catch {
                    throw failure(error)
                }
            }
            written = max(written, next)
        }
    }

    func allocate(_ request: AllocationRequest, at offset: UInt64, count: UInt64) throws(Errno) {
        let (end, overflow) = offset.addingReportingOverflow(count)
        guard !overflow, end <= size else { throw .noSpace }
        guard request != .allocate else { return }
        let place = range.lowerBound + offset..<range.lowerBound + end
        setActive(true)
        // The kernel drops the pages of this file itself.
        defer { didChange(place, .pages) }
        do {
            try attachment.zero(place)
            if mode.isSynchronous { try attachment.synchronize() }
        } catch {
            throw failure(error)
        }
    }

    func seek(_ what: SeekTarget, from offset: UInt64) throws(Errno) -> UInt64 {
        guard offset < size else { throw .noSuchAddressOrDevice }
        var position = range.lowerBound + offset
        do {
            // A map with millions of tiny runs is not to hold up a worker. "Data here" and "no hole before the end" are always true.
            for _ in 0..<Self.seekLimit where position < range.upperBound {
                let run = try attachment.allocation(at: position, limit: range.upperBound)
                if run.isData == (what == .data) { return position - range.lowerBound }
                position = run.end
            }
        } catch {
            throw failure(error)
        }
        if what == .hole { return size }
        guard position < range.upperBound else { throw .noSuchAddressOrDevice }
        return position - range.lowerBound
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

    private func didChange(_ range: Range<UInt64>, _ origin: WriteOrigin) {
        disk.coherence.didChange(
            range,
            through: node,
            goesPastPages ? .direct : origin,
            kernel: tree.kernelCache
        )
    }

    func release() {
        // Stores through a mapping may have come after the last flush.
        try? flush()
        if mode.writes { disk.didCloseWriter(self) }
        attachment.didClose(writing: mode.writes)
        disk.didClose(node, mode)
        tree.dropIfUnused(disk)
    }

    private func failure(_ error: DiskError) -> Errno {
        switch error.kind {
        case .gone, .silent: break
        case .hasChildren:
            // Every write fails so; to be told once is enough.
            if let news = attachment.takeRefusalNews() { tree.control.note(news, of: attachment) }
        default: log.error("\(attachment.name): \(error)")
        }
        return error.ioErrno
    }
}
