internal import CFuse
internal import Glibc
internal import Platform
internal import SystemPackage

/// A worker's pipe, through which the bytes of a file go to the kernel without being copied by us.
///
/// The pages go into the pipe as they are, and the kernel copies them once. They are never *moved* (SPLICE_F_MOVE): that would take them out of
/// the page cache.
@safe
final class ReplyPipe {
    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        unsafe pthread_key_create(&key) { pipe in
            if let pipe = unsafe pipe { unsafe Unmanaged<ReplyPipe>.fromOpaque(pipe).release() }
        }
        return key
    }()

    /// The pipe of the calling worker; nil where none can be had.
    static func own() -> ReplyPipe? {
        if let known = unsafe pthread_getspecific(key) {
            return unsafe Unmanaged<ReplyPipe>.fromOpaque(known).takeUnretainedValue()
        }
        guard let new = ReplyPipe() else { return nil }
        unsafe pthread_setspecific(key, Unmanaged.passRetained(new).toOpaque())
        return new
    }

    /// The calling worker's pipe has something in it that nobody wants: it gets another.
    private static func discardOwn() {
        guard let known = unsafe pthread_getspecific(key) else { return }
        pthread_setspecific(key, nil)
        unsafe Unmanaged<ReplyPipe>.fromOpaque(known).release()
    }

    private let input: Descriptor
    private let output: Descriptor
    /// How many pages, or parts of them, it holds.
    private let slots: Int
    private static let pageSize = 4096

    private init?() {
        var ends: (CInt, CInt) = (-1, -1)
        let size = unsafe withUnsafeMutableBytes(of: &ends) { ends in
            unsafe cfuse_pipe(ends.baseAddress?.assumingMemoryBound(to: CInt.self), CInt(MountOptions.maximumWrite))
        }
        slots = Int(size) / Self.pageSize
        guard slots > 0 else { return nil }
        output = Descriptor(owning: ends.0)
        input = Descriptor(owning: ends.1)
    }

    /// Answers a request with bytes of the host.
    ///
    /// - Returns: false when nothing was said: the bytes are not all there, do not fit, or could not be read.
    func answer(_ request: ReadRequest, _ bytes: HostBytes) -> Bool {
        guard slotsNeeded(for: bytes) < slots else { return false }
        let header = request.replyHeader(count: bytes.byteCount, error: 0)
        var isFilled = put(header)
        bytes.forEach { piece in isFilled = isFilled && put(piece) }
        guard isFilled else {
            Self.discardOwn()
            return false
        }
        if !request.send(from: output.rawValue, count: Int(header.len)) {
            // Mostly the request is gone, or the kernel has ended it with an error, and this one is passed over. But if the kernel had no memory even
            // to look at the reply, the caller waits for ever for another.
            Self.discardOwn()
            request.fail(.ioError)
        }
        return true
    }

    private func slotsNeeded(for bytes: HostBytes) -> Int {
        var sum = 0
        bytes.forEach { piece in
            sum += (Int(piece.offset % UInt64(Self.pageSize)) + piece.count + Self.pageSize - 1) / Self.pageSize
        }
        return sum
    }

    private func put(_ header: fuse_out_header) -> Bool {
        let size = MemoryLayout<fuse_out_header>.size
        return unsafe withUnsafeBytes(of: header) { unsafe write(input.rawValue, $0.baseAddress, size) == size }
    }

    private func put(_ piece: HostBytes.Piece) -> Bool {
        guard let descriptor = piece.descriptor else { return putZeros(piece.count) }
        guard var position = off_t(exactly: piece.offset) else { return false }
        var rest = piece.count
        while rest > 0 {
            // It never waits for room in the pipe, which nobody would make.
            let taken = unsafe cfuse_splice(descriptor, &position, input.rawValue, rest, 1)
            if taken == -1, errno == EINTR { continue }
            guard taken > 0 else { return false }
            rest -= taken
        }
        return true
    }

    private func putZeros(_ count: Int) -> Bool {
        var isPut = false
        _ = ZeroMemory.lend(count) { zeros in
            isPut = unsafe zeros.withUnsafeBytes { memory in
                unsafe cfuse_lend_memory(input.rawValue, memory.baseAddress, count) == count
            }
        }
        return isPut
    }
}
