internal import BlockDevice
internal import ByteIO
internal import Volumes

/// The content of a file.
final class UDFFile: FileInRuns {
    private let extents: ExtentList
    let device: any BlockDevice
    var size: UInt64 { extents.size }
    /// The unique id of its entry.
    let generation: UInt64

    init(_ extents: ExtentList, generation: UInt64, device: any BlockDevice) {
        self.extents = extents
        self.generation = generation
        self.device = device
    }

    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(VolumeError) {
        guard offset <= size, UInt64(buffer.byteCount) <= size - offset else {
            throw VolumeError(.damaged, "a read past the end of a file")
        }
        var done = 0
        var index = buffer.byteCount > 0 ? extents.index(at: offset) : 0
        while done < buffer.byteCount {
            let run = extents.runs[index]
            let inside = offset + UInt64(done) - run.start
            let count = Int(min(UInt64(buffer.byteCount - done), run.count - inside))
            if let place = run.offset {
                do {
                    try buffer.withPart(done..<done + count) { (part) throws(DiskError) in
                        try device.read(into: &part, at: place + inside)
                    }
                } catch {
                    throw VolumeError(error)
                }
            } else {
                buffer.fillZero(done..<done + count)
            }
            done += count
            index += 1
        }
    }

    func run(at offset: UInt64) -> VolumeRun? {
        let run = extents.runs[extents.index(at: offset)]
        let inside = offset - run.start
        return VolumeRun(offset: run.offset.map { $0 + inside }, count: run.count - inside)
    }

    func allocation(at offset: UInt64, limit: UInt64) throws(VolumeError) -> HostAllocation {
        guard offset < size else { return HostAllocation(isData: false, end: limit) }
        let run = extents.runs[extents.index(at: offset)]
        return HostAllocation(isData: run.offset != nil, end: min(limit, run.start + run.count))
    }
}
