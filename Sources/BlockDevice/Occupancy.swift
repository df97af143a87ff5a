/// Which bytes of an image file belong to what: finds what overlaps, and what nothing uses.
public struct Occupancy: Sendable {
    /// What bytes belong to.
    public enum Owner: Sendable, Hashable {
        /// A structure that there is once, by its place in the list of names.
        case structure(Int)
        /// A block of the disk.
        case block(UInt64)
        /// A block of sector bitmaps (VHDX).
        case bitmapBlock(UInt64)
        /// Kept free for something: may be used, and is no leak.
        case spare
    }

    private struct Piece {
        var start: UInt64
        var end: UInt64
        var owner: Owner
    }

    /// So many pieces can be compared: with 1 MiB blocks 8 TiB of data.
    private static let limit = 1 << 23

    private let path: String
    private var names: [String] = []
    private var pieces: [Piece] = []

    /// Begins with an empty file.
    ///
    /// - Parameter path: the file's name for messages.
    public init(path: String) {
        self.path = path
    }

    /// A structure of the format takes a range.
    public mutating func add(_ name: String, _ range: Range<UInt64>) throws(DiskError) {
        names.append(name)
        try add(.structure(names.count - 1), range)
    }

    /// A block, or free room, takes a range.
    public mutating func add(_ owner: Owner, _ range: Range<UInt64>) throws(DiskError) {
        guard !range.isEmpty else { return }
        guard pieces.count < Self.limit else {
            throw DiskError(.limit, "more than \(Self.limit) blocks can't be compared with each other", path: path)
        }
        pieces.append(Piece(start: range.lowerBound, end: range.upperBound, owner: owner))
    }

    /// Walks over the file from its front to `end`.
    ///
    /// - Parameters:
    ///   - report: gets what overlaps.
    ///   - block: is given each block that begins behind all others so far: what overlaps is given once.
    ///   - gap: is given each range that nothing uses.
    public mutating func inspect(
        upTo end: UInt64,
        _ report: inout CheckReport,
        block: (UInt64, Range<UInt64>, inout CheckReport) throws(DiskError) -> Void,
        gap: (Range<UInt64>, inout CheckReport) -> Void
    ) throws(DiskError) {
        pieces.sort { ($0.start, $0.end) < ($1.start, $1.end) }
        var used: UInt64 = 0
        var last = Piece(start: 0, end: 0, owner: .spare)
        for piece in pieces {
            if piece.start > used, used < end { gap(used..<min(piece.start, end), &report) }
            used = max(used, piece.end)
            guard piece.owner != .spare else { continue }
            if piece.start < last.end {
                report.damage(
                    name(piece.owner),
                    at: piece.start,
                    "overlaps \(name(last.owner)) at offset \(last.start)"
                )
            } else if case .block(let number) = piece.owner {
                try block(number, piece.start..<piece.end, &report)
            }
            if piece.end > last.end { last = piece }
        }
        if used < end { gap(used..<end, &report) }
    }

    private func name(_ owner: Owner) -> String {
        switch owner {
        case .structure(let index): names[index]
        case .block(let number): "block \(number)"
        case .bitmapBlock(let number): "sector bitmap block \(number)"
        case .spare: "free room"
        }
    }
}
