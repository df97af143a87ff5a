internal import ByteIO
internal import FileSystem
internal import SystemPackage

/// A text as it was when it was opened.
final class TextFile: OpenFile {
    private let bytes: [UInt8]
    let isSlow = false

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    func read(into buffer: inout MutableRawSpan, at offset: UInt64, caller: Caller) -> Int {
        guard offset < UInt64(bytes.count) else { return 0 }
        let part = bytes[Int(offset)...].prefix(buffer.byteCount)
        Array(part).withBytes { buffer.copy($0, to: 0) }
        return part.count
    }

    func write(
        _ bytes: RawSpan,
        at offset: UInt64,
        origin: WriteOrigin,
        caller: Caller,
        interruption: Interruption
    ) throws(Errno) -> Int {
        throw .notPermitted
    }

    func synchronize() {}
    func flush() {}
    func release() {}

    func seek(_ what: SeekTarget, from offset: UInt64) throws(Errno) -> UInt64 {
        guard offset < UInt64(bytes.count) else { throw .noSuchAddressOrDevice }
        return what == .data ? offset : UInt64(bytes.count)
    }

    func allocate(_ request: AllocationRequest, at offset: UInt64, count: UInt64) throws(Errno) {
        throw .notSupported
    }
}
