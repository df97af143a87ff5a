internal import BlockDevice

/// Which mebibytes of the file are in use. It finds overlaps at open, and room for new blocks later.
struct UsedSpace: Sendable {
    static let unit: UInt64 = 1 << 20
    /// Longer files are refused: the map would take too much memory. The largest disk needs half of it.
    static let fileSizeLimit: UInt64 = 128 << 40

    private var words: [UInt64]
    /// For each length: no free place of it begins earlier.
    private var cursors: [UInt64: UInt64] = [:]

    /// A map of a file in which nothing is used.
    init(fileSize: UInt64) {
        words = Array(repeating: 0, count: Int((fileSize / Self.unit + 64) / 64))
    }

    /// Marks a range as used; false when any of it already is. Both ends are multiples of 1 MiB (the file's end may cut one).
    mutating func insert(_ range: Range<UInt64>) -> Bool {
        let first = range.lowerBound / Self.unit
        let end = (range.upperBound + Self.unit - 1) / Self.unit
        grow(to: end)
        for number in first..<end where isUsed(number) { return false }
        for number in first..<end { words[Int(number / 64)] |= 1 << (number % 64) }
        return true
    }

    /// Takes `count` mebibytes that lie side by side, or nil when there are none before the end of the file.
    ///
    /// Nothing ever becomes free here (a freed place waits for its own block), so a search goes on where the last one ended.
    mutating func take(_ count: UInt64, fileSize: UInt64) -> UInt64? {
        let end = fileSize / Self.unit
        var first = cursors[count] ?? 0
        defer { cursors[count] = first }
        while first + count <= end {
            guard let used = (first..<first + count).last(where: { isUsed($0) }) else {
                let place = first * Self.unit
                _ = insert(place..<place + count * Self.unit)
                return place
            }
            first = used + 1
        }
        return nil
    }

    /// How many mebibytes before the end of the file are not used.
    func freeCount(fileSize: UInt64) -> UInt64 {
        let end = (fileSize + Self.unit - 1) / Self.unit
        let used = words.reduce(0) { $0 + UInt64($1.nonzeroBitCount) }
        return end - min(used, end)
    }

    private func isUsed(_ number: UInt64) -> Bool {
        let word = Int(number / 64)
        return word < words.count && words[word] >> (number % 64) & 1 == 1
    }

    private mutating func grow(to end: UInt64) {
        let needed = Int((end + 63) / 64)
        if needed > words.count { words += Array(repeating: 0, count: max(needed - words.count, words.count / 8)) }
    }
}
