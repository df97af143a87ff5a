internal import CFuse
internal import Glibc

/// The memory that a worker answers READ and READDIR from: allocated once a thread, because fresh memory faults at each page.
@safe
enum ReplyBuffer {
    /// Bytes in it: the largest read, and a page to spare.
    private static let capacity = MountOptions.maximumRead + pageSize
    /// What stands before it: room for the header of a reply, which so goes to the kernel in one piece with the bytes behind it.
    private static let room = pageSize
    private static let pageSize = 4096

    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        unsafe pthread_key_create(&key) { unsafe $0?.deallocate() }
        return key
    }()

    /// Lends the calling worker's memory, at most `limit` bytes of it.
    static func withBytes<R, E: Error>(
        _ limit: Int,
        _ body: (UnsafeMutableRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        let base: UnsafeMutableRawPointer
        if let own = unsafe pthread_getspecific(key) {
            unsafe base = own
        } else {
            unsafe base = .allocate(byteCount: room + capacity, alignment: pageSize)
            unsafe pthread_setspecific(key, base)
        }
        return try unsafe body(UnsafeMutableRawBufferPointer(start: base + room, count: min(max(limit, 0), capacity)))
    }

    /// Answers a request with bytes at the beginning of the calling worker's memory.
    ///
    /// That the request is gone (ENOENT), or the session, is no matter of ours.
    static func send(_ header: fuse_out_header, _ bytes: UnsafeMutableRawBufferPointer, on device: CInt) {
        let size = MemoryLayout<fuse_out_header>.size
        guard let start = unsafe bytes.baseAddress.map({ unsafe $0 - size }) else { return }
        unsafe start.storeBytes(of: header, as: fuse_out_header.self)
        _ = unsafe write(device, start, size + bytes.count)
    }
}
