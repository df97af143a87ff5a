internal import Glibc

/// The memory that a worker answers READ and READDIR from: allocated once a thread, because fresh memory faults at each page.
@safe
enum ReplyBuffer {
    /// Bytes in it: the largest read, and a page to spare.
    private static let capacity = MountOptions.maximumRead + pageSize
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
            unsafe base = .allocate(byteCount: capacity, alignment: pageSize)
            unsafe pthread_setspecific(key, base)
        }
        return try unsafe body(UnsafeMutableRawBufferPointer(start: base, count: min(max(limit, 0), capacity)))
    }
}
