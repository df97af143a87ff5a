internal import CFuse
internal import FileSystem
internal import Glibc
internal import Platform
internal import SystemPackage

/// READ, the hot path: taken from the request and answered by ourselves, since libfuse's bookkeeping for each request costs more than what
/// there is to do. No allocation, and no lock but short ones.
@safe
struct ReadRequest {
    private let header: fuse_in_header
    private let question: fuse_read_in
    /// `/dev/fuse`.
    private let device: CInt

    /// From so many bytes on the kernel takes them from where they are; for fewer, copying costs less than that.
    private static let splicingLimit = 65536

    /// Nil when it is another request.
    init?(_ bytes: UnsafeRawBufferPointer, on device: CInt) {
        let headerSize = MemoryLayout<fuse_in_header>.size
        guard bytes.count >= headerSize + MemoryLayout<fuse_read_in>.size else { return nil }
        let header = unsafe bytes.loadUnaligned(as: fuse_in_header.self)
        guard header.opcode == FUSE_READ.rawValue else { return nil }
        self.header = header
        self.device = device
        question = unsafe bytes.loadUnaligned(fromByteOffset: headerSize, as: fuse_read_in.self)
    }

    /// The kernel's number for it.
    var number: UInt64 { header.unique }

    /// Answers it: from where the bytes stand on the host, or through the worker's own memory.
    func answer() {
        let wasFound: Void? = HandleTable<FileHandle>.with(question.fh) { open in
            do throws(Errno) {
                try answer(open.file)
            } catch {
                fail(error)
            }
        }
        if wasFound == nil { fail(.badFileDescriptor) }
    }

    private func answer(_ file: any OpenFile) throws(Errno) {
        let size = Int(question.size)
        if size >= Self.splicingLimit, let bytes = try file.hostBytes(at: question.offset, count: size) {
            if ReplyPipe.own()?.answer(self, bytes) == true { return }
        }
        let caller = Caller(user: header.uid, group: header.gid, thread: Int32(bitPattern: header.pid))
        try unsafe ReplyBuffer.withBytes(size) { memory throws(Errno) in
            var span = unsafe MutableRawSpan(_unsafeBytes: memory)
            let count = try file.read(into: &span, at: question.offset, caller: caller)
            let bytes = unsafe UnsafeMutableRawBufferPointer(rebasing: memory.prefix(max(0, count)))
            unsafe ReplyBuffer.send(replyHeader(count: bytes.count, error: 0), bytes, on: device)
        }
    }

    /// Says why not.
    func fail(_ error: Errno) {
        unsafe ReplyBuffer.withBytes(0) { nothing in
            unsafe ReplyBuffer.send(replyHeader(count: 0, error: error.fuseNumber), nothing, on: device)
        }
    }

    /// The header of a reply with so many bytes.
    func replyHeader(count: Int, error: CInt) -> fuse_out_header {
        fuse_out_header(
            len: UInt32(MemoryLayout<fuse_out_header>.size + count),
            error: -error,
            unique: header.unique
        )
    }

    /// Hands a pipe's content over; false when the kernel has not taken all of it.
    func send(from pipe: CInt, count: Int) -> Bool {
        cfuse_splice(pipe, nil, device, count, 0) == count
    }
}

extension Errno {
    /// The number for the kernel: it takes only 1 to 511, and the caller of anything else hangs for ever. ENOSYS would stop it from ever asking
    /// again, for an `fsync` even with success.
    var fuseNumber: CInt {
        switch rawValue {
        case Glibc.ENOSYS: Glibc.EOPNOTSUPP
        case 1...511: rawValue
        default: Glibc.EIO
        }
    }
}
