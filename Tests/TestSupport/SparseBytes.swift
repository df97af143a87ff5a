public import BlockDevice
internal import ByteIO

/// A long row of bytes of which most are zero: a file in memory, or the model of a disk. Pages that were never written are holes.
///
/// A plain value: copying it is a snapshot.
public struct SparseBytes: Sendable {
    /// The unit of holes.
    public static let pageSize: UInt64 = 4096

    /// How many bytes there are, holes included.
    public private(set) var count: UInt64
    private var pages: [UInt64: [UInt8]] = [:]

    /// Makes `count` zeros.
    public init(count: UInt64 = 0) {
        self.count = count
    }

    /// Takes bytes.
    public init(_ bytes: [UInt8]) {
        count = 0
        store(bytes, at: 0)
    }

    /// How many bytes the pages take that are not holes.
    public var storedBytes: UInt64 { UInt64(pages.count) * Self.pageSize }

    /// The bytes of a range; zeros past the end.
    public subscript(range: Range<UInt64>) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: range.count)
        bytes.withMutableBytes { buffer in
            forEachPiece(range.clamped(to: 0..<max(range.lowerBound, count))) { page, inPage, done in
                pages[page]?.withBytes { buffer.copy($0.extracting(inPage), to: done) }
            }
        }
        return bytes
    }

    /// All bytes.
    public var bytes: [UInt8] { self[0..<count] }

    /// Fills the buffer from `offset` on; returns how many bytes there were.
    public func read(into buffer: inout MutableRawSpan, at offset: UInt64) -> Int {
        let end = min(count, offset + UInt64(buffer.byteCount))
        forEachPiece(offset..<max(offset, end)) { page, inPage, done in
            if let bytes = pages[page] {
                bytes.withBytes { buffer.copy($0.extracting(inPage), to: done) }
            } else {
                buffer.fillZero(done..<done + inPage.count)
            }
        }
        return Int(max(offset, end) - offset)
    }

    /// Writes bytes, and makes the row longer where they reach past its end.
    public mutating func write(_ bytes: RawSpan, at offset: UInt64) {
        let end = offset + UInt64(bytes.byteCount)
        count = max(count, end)
        var pages = take()
        forEachPiece(offset..<end) { page, inPage, done in
            let piece = bytes.extracting(done..<done + inPage.count)
            pages[page, default: [UInt8](repeating: 0, count: Int(Self.pageSize))]
                .withMutableBytes { $0.copy(piece, to: inPage.lowerBound) }
        }
        self.pages = pages
    }

    /// Writes an array, and makes the row longer where it reaches past its end.
    ///
    /// - Parameter keepingHoles: whether pages' worth of zeros stay holes.
    public mutating func store(_ bytes: [UInt8], at offset: UInt64, keepingHoles: Bool = false) {
        guard keepingHoles else { return bytes.withBytes { write($0, at: offset) } }
        zero(offset..<offset + UInt64(bytes.count))
        forEachPiece(offset..<offset + UInt64(bytes.count)) { page, inPage, done in
            bytes.withBytes { all in
                let piece = all.extracting(done..<done + inPage.count)
                if !piece.isAllZero { write(piece, at: page * Self.pageSize + UInt64(inPage.lowerBound)) }
            }
        }
        count = max(count, offset + UInt64(bytes.count))
    }

    /// Makes a range zero; whole pages become holes. Never changes the length.
    public mutating func zero(_ range: Range<UInt64>) {
        let range = range.clamped(to: 0..<count)
        guard !range.isEmpty else { return }
        var pages = take()
        let touched = range.lowerBound / Self.pageSize..<(range.upperBound - 1) / Self.pageSize + 1
        // A hostile image may ask for exabytes; only pages that are there matter.
        let numbers = touched.count > pages.count ? pages.keys.filter(touched.contains) : Array(touched)
        for page in numbers {
            let start = page * Self.pageSize
            let end = start + min(Self.pageSize, count - start)
            let part = range.clamped(to: start..<end)
            if part == start..<end {
                pages[page] = nil
            } else {
                pages[page]?.withMutableBytes {
                    $0.fillZero(Int(part.lowerBound - start)..<Int(part.upperBound - start))
                }
            }
        }
        self.pages = pages
    }

    /// Cuts the row, or lengthens it with a hole.
    public mutating func resize(to size: UInt64) {
        if size < count {
            let last = size / Self.pageSize
            pages = pages.filter { $0.key <= last }
            pages[last]?.withMutableBytes { $0.fillZero(Int(size % Self.pageSize)..<Int(Self.pageSize)) }
            if size % Self.pageSize == 0 { pages[last] = nil }
        }
        count = size
    }

    /// Whether there is a page at `offset`, and how far that or the hole reaches. Behind the end all is a hole.
    public func allocation(at offset: UInt64, limit: UInt64) -> HostAllocation {
        guard offset < count else { return HostAllocation(isData: false, end: max(offset, limit)) }
        let limit = min(limit, count)
        var page = offset / Self.pageSize
        let isData = pages[page] != nil
        if isData {
            while pages[page] != nil, page * Self.pageSize < limit { page += 1 }
        } else {
            page = pages.keys.filter { $0 > page }.min() ?? .max / Self.pageSize
        }
        return HostAllocation(isData: isData, end: max(offset, min(limit, page * Self.pageSize)))
    }

    /// Gives every page that is not a hole, in order, cut at the end.
    public func forEachStoredPage<E: Error>(_ body: (UInt64, [UInt8]) throws(E) -> Void) throws(E) {
        for page in pages.keys.sorted() {
            let offset = page * Self.pageSize
            try body(offset, self[offset..<min(count, offset + Self.pageSize)])
        }
    }

    /// Where the two rows differ first, lengths included; nil if they are equal.
    public func firstDifference(from other: SparseBytes) -> UInt64? {
        for page in Set(pages.keys).union(other.pages.keys).sorted() {
            let offset = page * Self.pageSize
            let (mine, its) = (self[offset..<offset + Self.pageSize], other[offset..<offset + Self.pageSize])
            if let index = differingIndex(mine, its) {
                return offset + UInt64(index)
            }
        }
        return count == other.count ? nil : min(count, other.count)
    }

    // Leaves no second owner of the pages behind, or else every write would copy them all.
    private mutating func take() -> [UInt64: [UInt8]] {
        let taken = pages
        pages = [:]
        return taken
    }

    private func forEachPiece(_ range: Range<UInt64>, _ body: (UInt64, Range<Int>, Int) -> Void) {
        var offset = range.lowerBound
        while offset < range.upperBound {
            let page = offset / Self.pageSize
            let end = min(range.upperBound, (page + 1) * Self.pageSize)
            let start = Int(offset % Self.pageSize)
            body(page, start..<start + Int(end - offset), Int(offset - range.lowerBound))
            offset = end
        }
    }
}

extension SparseBytes: CustomStringConvertible, CustomReflectable {
    /// The length: failed expectations print what they compared.
    public var description: String { "\(count) bytes, \(storedBytes) stored" }

    /// Nothing: as above.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension SparseBytes: Equatable {
    /// Whether all bytes are equal; holes and zeros are the same.
    public static func == (a: SparseBytes, b: SparseBytes) -> Bool {
        a.firstDifference(from: b) == nil
    }
}
