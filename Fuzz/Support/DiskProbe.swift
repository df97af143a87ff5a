internal import BlockDevice
internal import ByteIO

/// Looks at a disk in some places, which the input chooses along with those where blocks and disks end.
struct DiskProbe {
    /// Bytes of the disk.
    struct Piece {
        var offset: UInt64
        var bytes: [UInt8]

        /// The same after a write.
        func overwritten(by other: Piece) -> Piece {
            var piece = self
            let range = offset..<offset + UInt64(bytes.count)
            let common = range.clamped(to: other.offset..<other.offset + UInt64(other.bytes.count))
            guard !common.isEmpty else { return piece }
            let source = other.bytes[Int(common.lowerBound - other.offset)..<Int(common.upperBound - other.offset)]
            let start = Int(common.lowerBound - offset)
            piece.bytes.replaceSubrange(start..<start + source.count, with: source)
            return piece
        }
    }

    private let disk: Chain
    private let layer: any ImageLayer
    private let choices: [UInt64]

    /// - Parameter input: its last bytes choose.
    init(_ disk: Chain, _ layer: any ImageLayer, _ input: [UInt8]) {
        self.disk = disk
        self.layer = layer
        choices = stride(from: 0, to: 32, by: 8).map { (place: Int) in
            input.dropLast(place).suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        }
    }

    private var ranges: [Range<UInt64>] {
        let size = disk.size
        let starts = [0, size / 2, size - min(size, 5000), 4095, 1 << 20, 2 << 20] + choices.map { $0 % max(size, 1) }
        return starts.enumerated().compactMap { index, start in
            guard start < size else { return nil }
            let length = [UInt64(9000), 1, 513, 4096][index % 4]
            return start..<min(size, start + length)
        }
    }

    /// Something to write: as long as the input says, where it says.
    var pieceToWrite: Piece {
        let start = choices[0] % max(disk.size, 1)
        let length = min(disk.size - start, 1 + choices[1] % 70_000)
        return Piece(offset: start, bytes: (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 1) })
    }

    /// Zeros to write, often whole blocks of them; the same way.
    var pieceToZero: Piece {
        let unit: UInt64 = choices[2] & 1 == 0 ? 1 : 1 << 20
        let start = choices[2] % max(disk.size, 1) / unit * unit
        let length = min(disk.size - start, (1 + choices[3] % 3) * max(unit, 5000))
        return Piece(offset: start, bytes: [UInt8](repeating: 0, count: Int(length)))
    }

    /// Reads in all places, and keeps the promises that reading makes.
    func readEverything() throws(FuzzFailure) -> [Piece] {
        try FuzzFailure.unless(disk.size > 0, "a disk of no size")
        var pieces: [Piece] = []
        for range in ranges {
            try walk(range)
            let piece = Piece(offset: range.lowerBound, bytes: try Self.read(range, of: disk, "at first"))
            try Self.expect([piece], on: disk, "read twice")
            pieces.append(piece)
        }
        for range in [disk.size..<disk.size + 1, disk.size - 1..<disk.size + 1] {
            do throws(FuzzFailure) {
                _ = try Self.read(range, of: disk, "behind the end")
            } catch {
                continue
            }
            throw FuzzFailure("\(range) was read of a disk of \(disk.size) bytes")
        }
        return pieces
    }

    /// Asks where the bytes are.
    private func walk(_ range: Range<UInt64>) throws(FuzzFailure) {
        var position = range.lowerBound
        while position < range.upperBound {
            let limit = range.upperBound - position
            do throws(DiskError) {
                let extent = try layer.extent(at: position, limit: limit)
                let run = try disk.allocation(at: position, limit: range.upperBound)
                guard extent.count > 0, extent.count <= limit, run.end > position, run.end <= range.upperBound else {
                    throw DiskError(.io, "at \(position) up to \(range.upperBound): \(extent), \(run)")
                }
                position += extent.count
            } catch {
                throw FuzzFailure("looking for \(range): \(error)")
            }
        }
    }

    private static func read(_ range: Range<UInt64>, of disk: Chain, _ when: String) throws(FuzzFailure) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: range.count)
        do throws(DiskError) {
            try bytes.withMutableBytes { (span) throws(DiskError) in try disk.read(into: &span, at: range.lowerBound) }
        } catch {
            throw FuzzFailure("\(when): reading \(range) of \(disk.size) fails with \(error.kind): \(error)")
        }
        return bytes
    }

    /// Reads pieces again.
    static func expect(_ pieces: [Piece], on disk: Chain, _ when: String) throws(FuzzFailure) {
        for piece in pieces {
            let range = piece.offset..<piece.offset + UInt64(piece.bytes.count)
            let found = try read(range, of: disk, when)
            guard found != piece.bytes, let index = zip(found, piece.bytes).enumerated().first(where: { $1.0 != $1.1 })
            else { continue }
            throw FuzzFailure("\(when): byte \(range.lowerBound + UInt64(index.offset)) is \(index.element)")
        }
    }
}
