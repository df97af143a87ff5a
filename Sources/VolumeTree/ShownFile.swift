internal import BlockDevice
internal import ByteIO
internal import FileSystem
internal import Platform
internal import SystemPackage
internal import Volumes

/// An open file of a volume.
final class ShownFile: OpenFile {
    private let volume: ShownVolume
    private let id: FileID
    private let state: Locked<(open: OpenVolume, file: any VolumeFile)>
    private let didClose: @Sendable () -> Void
    let isSlow = false

    init(
        _ volume: ShownVolume,
        _ open: OpenVolume,
        _ file: any VolumeFile,
        id: FileID,
        didClose: @escaping @Sendable () -> Void
    ) {
        self.volume = volume
        self.id = id
        self.didClose = didClose
        state = Locked((open, file))
    }

    /// The content as the disk holds it now.
    private func current() throws(VolumeError) -> any VolumeFile {
        try volume.checkHost()
        let (open, file) = state.withLock { $0 }
        if volume.isCurrent(open) { return file }
        let newer = try volume.current()
        guard newer !== open else { return file }
        let newFile = try reopened(in: newer)
        guard newFile.generation == file.generation else { throw stale }
        state.withLock { $0 = (newer, newFile) }
        return newFile
    }

    /// The file in a newer state of the volume. What can't be opened there is mostly a place that is free now.
    private func reopened(in newer: OpenVolume) throws(VolumeError) -> any VolumeFile {
        do {
            return try newer.reader.open(id)
        } catch  where error.kind == .damaged {
            throw stale
        }
    }

    private var stale: VolumeError {
        VolumeError(.stale, "file \(id.rawValue) was deleted while it was open")
    }

    func read(into buffer: inout MutableRawSpan, at offset: UInt64, caller: Caller) throws(Errno) -> Int {
        try volume.telling { () throws(VolumeError) in
            let file = try current()
            guard offset < file.size else { return 0 }
            let count = Int(min(UInt64(buffer.byteCount), file.size - offset))
            try buffer.withPart(0..<count) { (part) throws(VolumeError) in try file.read(into: &part, at: offset) }
            return count
        }
    }

    func hostBytes(at offset: UInt64, count: Int) throws(Errno) -> HostBytes? {
        try volume.telling { () throws(VolumeError) in
            let file = try current()
            guard offset < file.size else { return nil }
            return try file.hostBytes(of: offset..<offset + min(UInt64(count), file.size - offset))
        }
    }

    func seek(_ what: SeekTarget, from offset: UInt64) throws(Errno) -> UInt64 {
        let found = try volume.telling { () throws(VolumeError) -> UInt64? in
            let file = try current()
            var position = offset
            for _ in 0..<Self.seekLimit where position < file.size {
                let run = try file.allocation(at: position, limit: file.size)
                if run.isData == (what == .data) { return position }
                position = max(run.end, position + 1)
            }
            if offset >= file.size { return nil }
            return what == .hole ? file.size : position < file.size ? position : nil
        }
        guard let found else { throw .noSuchAddressOrDevice }
        return found
    }

    /// How many runs one `lseek` looks at.
    private static let seekLimit = 100_000

    func write(
        _ bytes: RawSpan,
        at offset: UInt64,
        origin: WriteOrigin,
        caller: Caller,
        interruption: Interruption
    ) throws(Errno) -> Int {
        throw .badFileDescriptor
    }

    func synchronize() throws(Errno) {}

    func flush() throws(Errno) {}

    func release() {
        didClose()
    }

    func allocate(_ request: AllocationRequest, at offset: UInt64, count: UInt64) throws(Errno) {
        throw .badFileDescriptor
    }
}
