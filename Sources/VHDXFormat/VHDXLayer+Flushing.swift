public import BlockDevice
internal import ByteIO
internal import Platform
internal import Synchronization

/// What makes writes durable: first the data, then an entry of the log with the tables that make it visible, then the tables in place.
extension VHDXLayer {
    // MARK: Before the first write

    /// Replays the log into the file, says in the headers that the file changes, and puts right what was accepted for reading. After a
    /// failure it may be called again.
    func prepare(_ allocator: inout Allocator) throws(DiskError) {
        guard !isPrepared.load(ordering: .relaxed) else { return }
        try allocator.complete(opened)
        try opened.replayed?.apply(through: file)
        try log.withLock { (log) throws(DiskError) in try log?.beginSession() }
        opened.replayed?.didApply()
        // What was cut within a sector behind the last block is made whole.
        let size = try file.size()
        if size % 512 != 0 { try file.truncate(to: (size + 511) & ~511) }
        if let (copy, bytes) = opened.regions.repair {
            try replace(at: RegionTable.offsets[copy], with: bytes, &allocator)
        }
        for block in allocator.zeroBlocksWithOffset {
            allocator.changedPages.insert(try table.setEntry(BlockEntry(.zero), ofBlock: block))
        }
        isPrepared.store(true, ordering: .releasing)
    }

    private func replace(at offset: UInt64, with bytes: [UInt8], _ allocator: inout Allocator) throws(DiskError) {
        for start in stride(from: 0, to: bytes.count, by: MetadataSector.byteCount) {
            let number = (offset + UInt64(start)) / UInt64(MetadataSector.byteCount)
            cache.replace(number, with: MetadataSector(bytes[start..<start + MetadataSector.byteCount]))
            allocator.changedPages.insert(number / 8)
        }
    }

    // MARK: Flushing

    public func synchronize() throws(DiskError) {
        try flushing.withLock { (_) throws(DiskError) in try flush() }
    }

    /// The last writer has gone, or nothing has been flushed for a while: the log is emptied.
    public func finish() throws(DiskError) {
        guard isPrepared.load(ordering: .acquiring) else { return }
        try flushing.withLock { (_) throws(DiskError) in
            try flush()
            guard log.withLock({ $0?.isOpen ?? false }) else { return }
            // The tables in place, which the log stands for until they are durable.
            try file.synchronize()
            try log.withLock { (log) throws(DiskError) in try log?.close() }
        }
    }

    private func flush() throws(DiskError) {
        let (changes, fileSize) = try allocator.withLock {
            (allocator) throws(DiskError) -> ([MetadataCache.Snapshot], UInt64) in
            let fileSize = try file.size()
            allocator.pagesInFlight = allocator.changedPages
            allocator.changedPages = []
            return (cache.changes(), fileSize)
        }
        do throws(DiskError) {
            try write(changes, fileSize)
            allocator.withLock { $0.pagesInFlight = [] }
        } catch {
            allocator.withLock { allocator in
                allocator.changedPages.formUnion(allocator.pagesInFlight)
                allocator.pagesInFlight = []
            }
            if log.withLock({ $0?.isOpen ?? false }) { idleCheckpoint?.schedule(self) }
            throw error
        }
    }

    private func write(_ changes: [MetadataCache.Snapshot], _ fileSize: UInt64) throws(DiskError) {
        // The data, and the tables that the last flush has put in place: its entry is not needed any more.
        try file.synchronize()
        guard !changes.isEmpty else { return }
        let pages = try loggedPages(changes)
        try log.withLock { (log) throws(DiskError) in try log?.append(pages, fileSize: fileSize) }
        try cache.writeBack(changes)
        idleCheckpoint?.schedule(self)
    }

    /// The pages as they will be: those sectors that changed, between those that stand in the file.
    private func loggedPages(_ changes: [MetadataCache.Snapshot]) throws(DiskError) -> [LogEntry.Page] {
        let pageSize = Int(LogPlace.sectorSize)
        let sectorsPerPage = UInt64(pageSize / MetadataSector.byteCount)
        var pages: [LogEntry.Page] = []
        var rest = changes[...]
        while let first = rest.first {
            let number = first.number / sectorsPerPage
            let offset = number * UInt64(pageSize)
            var bytes = try file.readBytes("page of the tables", at: offset, count: pageSize)
            while let change = rest.first, change.number / sectorsPerPage == number {
                change.sector.store(into: &bytes, at: Int(change.number % sectorsPerPage) * MetadataSector.byteCount)
                rest.removeFirst()
            }
            pages.append(LogEntry.Page(offset: offset, bytes: bytes))
        }
        return pages
    }
}
