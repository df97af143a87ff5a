internal import BlockDevice

/// The parts of the file where no block can be: headers, log, regions. Sorted, and none overlaps another.
struct ReservedRanges: Sendable {
    let ranges: [Range<UInt64>]

    /// Throws when two of them overlap.
    init(_ log: LogPlace?, _ regions: RegionTable, path: String) throws(DiskError) {
        var all = regions.ranges + [0..<1 << 20]
        if let log { all.append(log.range) }
        all.sort { $0.lowerBound < $1.lowerBound }
        for (first, second) in zip(all, all.dropFirst()) where second.lowerBound < first.upperBound {
            throw DiskError(
                .fileCorrupt,
                "region table: what is at offset \(second.lowerBound) overlaps what is at \(first.lowerBound)–\(first.upperBound)",
                path: path
            )
        }
        ranges = all
    }

    /// The range that shares bytes with another one.
    func overlapping(_ range: Range<UInt64>) -> Range<UInt64>? {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound > range.lowerBound { high = middle } else { low = middle + 1 }
        }
        return low < ranges.count && ranges[low].lowerBound < range.upperBound ? ranges[low] : nil
    }
}
