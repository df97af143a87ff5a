internal import BlockDevice
internal import ByteIO

/// The entries of a block allocation table that are not zero. What the host does not store is not read: of a table that is mostly a hole,
/// as in a large empty image, next to nothing.
struct StoredEntries {
    private static let chunk: UInt64 = 1 << 20

    private let file: any HostFile
    private let range: Range<UInt64>
    /// No more bytes than this are read.
    private let limit: UInt64

    init(of file: any HostFile, in region: Range<UInt64>, count: UInt64, limit: UInt64 = .max) {
        self.file = file
        self.limit = limit
        range = region.lowerBound..<min(region.upperBound, region.lowerBound + count * 8)
    }

    /// Calls `body` with the index and the value of each of them, in order. False when there is more than the limit allows.
    @discardableResult
    func forEach(_ body: (UInt64, BlockEntry) throws(DiskError) -> Void) throws(DiskError) -> Bool {
        var position = range.lowerBound
        var stored: UInt64 = 0
        while position < range.upperBound {
            let run = try file.allocation(at: position, limit: range.upperBound)
            // Whole entries: one of which a part is stored is read.
            let next = max(run.end & ~7, position + 8)
            let end = min(next, range.upperBound)
            if run.isData || run.end < next {
                let readable = position + min(end - position, limit - stored)
                try read(position..<readable, body)
                guard readable == end else { return false }
                stored += end - position
            }
            position = end
        }
        return true
    }

    private func read(
        _ part: Range<UInt64>,
        _ body: (UInt64, BlockEntry) throws(DiskError) -> Void
    ) throws(DiskError) {
        for start in stride(from: part.lowerBound, to: part.upperBound, by: Int(Self.chunk)) {
            let count = min(Self.chunk, part.upperBound - start)
            let bytes = try file.readBytes("block allocation table", at: start, count: Int(count))
            let first = (start - range.lowerBound) / 8
            try bytes.withBytes { (span) throws(DiskError) in
                try span.forEachNonzeroLittleEndian64 { (index, value) throws(DiskError) in
                    try body(first + UInt64(index), BlockEntry(raw: value))
                }
            }
        }
    }
}
