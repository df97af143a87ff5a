internal import BlockDevice
internal import ByteIO
internal import Volumes

/// The content of a file: one piece, or several behind each other for files above 4 GiB.
final class ISO9660File: FileInRuns {
    let size: UInt64
    let device: any BlockDevice
    let generation: UInt64
    private let pieces: [(start: UInt64, offset: UInt64, count: UInt64)]

    init(_ extents: [ISO9660Volume.Extent], generation: UInt64, device: any BlockDevice, blockSize: Int) {
        self.generation = generation
        self.device = device
        var pieces: [(start: UInt64, offset: UInt64, count: UInt64)] = []
        var position: UInt64 = 0
        for extent in extents where extent.count > 0 {
            pieces.append((position, UInt64(extent.block) * UInt64(blockSize), UInt64(extent.count)))
            position += UInt64(extent.count)
        }
        self.pieces = pieces
        size = position
    }

    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(VolumeError) {
        var done = 0
        for piece in pieces where done < buffer.byteCount {
            let position = offset + UInt64(done)
            guard position < piece.start + piece.count else { continue }
            let inside = position - piece.start
            let count = Int(min(UInt64(buffer.byteCount - done), piece.count - inside))
            do {
                try buffer.withPart(done..<done + count) { (part) throws(DiskError) in
                    try device.read(into: &part, at: piece.offset + inside)
                }
            } catch {
                throw VolumeError(error)
            }
            done += count
        }
        guard done == buffer.byteCount else { throw VolumeError(.damaged, "a read past the end of a file") }
    }

    func run(at offset: UInt64) -> VolumeRun? {
        pieces.first { offset < $0.start + $0.count }.map { piece in
            VolumeRun(offset: piece.offset + (offset - piece.start), count: piece.count - (offset - piece.start))
        }
    }

    func allocation(at offset: UInt64, limit: UInt64) throws(VolumeError) -> HostAllocation {
        HostAllocation(isData: true, end: limit)
    }
}
