internal import ByteIO
internal import Volumes

/// An address within the logical volume (`lb_addr`, ECMA-167 4/7.1).
struct BlockAddress: Hashable {
    var partition: UInt16
    var block: UInt32
}

/// A `long_ad` (ECMA-167 4/14.14.2).
struct LongAllocation {
    var length: UInt32
    var address: BlockAddress

    init(_ bytes: [UInt8], at offset: Int) throws(OutOfBounds) {
        length = try bytes.load(UInt32.self, at: offset, .little) & 0x3FFF_FFFF
        address = BlockAddress(
            partition: try bytes.load(UInt16.self, at: offset + 8, .little),
            block: try bytes.load(UInt32.self, at: offset + 4, .little)
        )
    }
}

/// Where the bytes of a file are, in its order. Immutable.
struct ExtentList {
    /// A run of a file.
    struct Run {
        /// Where it begins in the file.
        var start: UInt64
        var count: UInt64
        /// Where it is on the device; nil for zeros.
        var offset: UInt64?
    }

    private(set) var runs: [Run] = []
    private(set) var size: UInt64 = 0

    /// More runs than that are not kept.
    private static let limit = 4_000_000

    /// Adds a run; joins it to the last one where that is possible.
    mutating func append(count: UInt64, offset: UInt64?) throws(VolumeError) {
        guard count > 0 else { return }
        let (end, overflow) = size.addingReportingOverflow(count)
        guard !overflow, end <= UInt64(Int64.max) else { throw VolumeError(.damaged, "a file is longer than can be") }
        if let last = runs.last, last.offset.map({ $0 + last.count }) == offset, (last.offset == nil) == (offset == nil)
        {
            runs[runs.count - 1].count += count
        } else {
            guard runs.count < Self.limit else { throw VolumeError(.limit, "a file is in too many pieces") }
            runs.append(Run(start: size, count: count, offset: offset))
        }
        size = end
    }

    /// Leaves out what lies behind a size.
    mutating func cut(to size: UInt64) {
        while let last = runs.last, last.start >= size { runs.removeLast() }
        if let last = runs.last, last.start + last.count > size { runs[runs.count - 1].count = size - last.start }
        self.size = min(self.size, size)
    }

    /// The run that an offset below `size` lies in.
    func index(at offset: UInt64) -> Int {
        var (low, high) = (0, runs.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if runs[middle].start <= offset { low = middle } else { high = middle }
        }
        return low
    }
}
