internal import BlockDevice
internal import ByteIO
internal import Platform
internal import VolumeProtocol
internal import Volumes

/// The content of a file, as the child says where it lies.
final class ProcessFile: FileInRuns {
    let size: UInt64
    let generation: UInt64
    private let file: FileID
    private let runs: [ContentRun]
    /// Where each run begins in the file.
    private let starts: [UInt64]
    let device: any BlockDevice
    private let keeper: ChildKeeper
    private let chunks: ChunkCache

    /// Checks that the runs fit together, and into the volume.
    init(
        _ file: FileID,
        size: UInt64,
        generation: UInt64,
        runs: [ContentRun],
        device: any BlockDevice,
        keeper: ChildKeeper,
        chunks: ChunkCache
    ) throws(VolumeError) {
        self.file = file
        self.size = size
        self.generation = generation
        self.runs = runs
        self.device = device
        self.keeper = keeper
        self.chunks = chunks
        // As of attributes: no file is longer, and no place in it plus one on the volume goes past all numbers.
        guard size <= UInt64(Int64.max) else { throw ProcessVolume.unreadable }
        var starts: [UInt64] = []
        starts.reserveCapacity(runs.count)
        var position: UInt64 = 0
        for run in runs {
            starts.append(position)
            guard run.count > 0, run.count <= size - position else { throw ProcessVolume.unreadable }
            if case .volume(let offset) = run.place {
                guard offset <= device.size else { throw ProcessVolume.unreadable }
            }
            position += run.count
        }
        guard position == size else { throw ProcessVolume.unreadable }
        self.starts = starts
    }

    /// The run that an offset lies in; the caller asks for offsets below `size` only.
    private func index(at offset: UInt64) -> Int {
        var (low, high) = (0, starts.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= offset { low = middle } else { high = middle }
        }
        return low
    }

    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(VolumeError) {
        guard offset <= size, UInt64(buffer.byteCount) <= size - offset else {
            throw VolumeError(.damaged, "a read past the end of file \(file.rawValue)")
        }
        var done = 0
        var index = buffer.byteCount > 0 ? index(at: offset) : 0
        while done < buffer.byteCount {
            let position = offset + UInt64(done)
            let inside = position - starts[index]
            let count = Int(min(UInt64(buffer.byteCount - done), runs[index].count - inside))
            try buffer.withPart(done..<done + count) { (part) throws(VolumeError) in
                try fill(&part, from: runs[index].place, inside: inside, position: position)
            }
            done += count
            index += 1
        }
    }

    private func fill(
        _ buffer: inout MutableRawSpan,
        from place: ContentRun.Place,
        inside: UInt64,
        position: UInt64
    ) throws(VolumeError) {
        switch place {
        case .volume(let offset):
            do {
                try device.read(into: &buffer, at: offset + inside)
            } catch {
                throw VolumeError(error)
            }
        case .hole: buffer.fillZero(0..<buffer.byteCount)
        case .child: try readThroughChild(&buffer, at: position)
        case .lost:
            throw VolumeError(
                .damaged,
                "the volume does not say where file \(file.rawValue) has its bytes from \(position) on"
            )
        }
    }

    /// Compressed and very small content, in pieces that serve several reads.
    private func readThroughChild(_ buffer: inout MutableRawSpan, at offset: UInt64) throws(VolumeError) {
        var done = 0
        while done < buffer.byteCount {
            let position = offset + UInt64(done)
            let start = position / UInt64(Frame.byteLimit) * UInt64(Frame.byteLimit)
            let length = Int(min(UInt64(Frame.byteLimit), size - start))
            let chunk = try chunks.chunk(file, at: start) { () throws(VolumeError) in
                let request = VolumeRequest.read(file.rawValue, stream: 0, offset: start, count: UInt32(length))
                let bytes = try keeper.ask(request)
                guard bytes.count == length else { throw ProcessVolume.unreadable }
                return bytes
            }
            let from = Int(position - start)
            let count = min(buffer.byteCount - done, length - from)
            chunk.withBytes { bytes in buffer.copy(bytes.extracting(from..<from + count), to: done) }
            done += count
        }
    }

    func run(at offset: UInt64) -> VolumeRun? {
        let index = index(at: offset)
        let inside = offset - starts[index]
        let count = runs[index].count - inside
        return switch runs[index].place {
        case .volume(let place): VolumeRun(offset: place + inside, count: count)
        case .hole: VolumeRun(offset: nil, count: count)
        case .child, .lost: nil
        }
    }

    func allocation(at offset: UInt64, limit: UInt64) throws(VolumeError) -> HostAllocation {
        guard offset < size, limit > offset else { return HostAllocation(isData: false, end: limit) }
        let index = index(at: offset)
        return HostAllocation(isData: runs[index].place != .hole, end: min(limit, starts[index] + runs[index].count))
    }
}

/// The last pieces of files that a child has read for us: four of 1 MiB.
final class ChunkCache: Sendable {
    private struct Chunk: Sendable {
        var file: FileID
        var start: UInt64
        var bytes: [UInt8]
    }

    private static let limit = 4
    private let chunks = Locked<[Chunk]>([])

    /// The piece of a file, kept or read now.
    func chunk(
        _ file: FileID,
        at start: UInt64,
        read: () throws(VolumeError) -> [UInt8]
    ) throws(VolumeError) -> [UInt8] {
        if let known = chunks.withLock({ $0.first { $0.file == file && $0.start == start } }) { return known.bytes }
        let bytes = try read()
        chunks.withLock { chunks in
            chunks.append(Chunk(file: file, start: start, bytes: bytes))
            if chunks.count > Self.limit { chunks.removeFirst() }
        }
        return bytes
    }
}
