internal import CFuse
internal import Glibc
internal import Synchronization

/// What libfuse says to the kernel passes through here, because libfuse 3.14 can't agree on all that newer kernels offer: its answer to INIT is
/// completed on the way.
enum Transport {
    /// For `fuse_session_custom_io`.
    static func functions() -> fuse_custom_io {
        var functions = fuse_custom_io()
        unsafe functions.read = receive
        unsafe functions.writev = send
        return functions
    }
}

/// Nobody calls it: `Connection` takes the requests. libfuse wants one all the same.
private func receive(_: CInt, _: UnsafeMutableRawPointer?, _: Int, _: UnsafeMutableRawPointer?) -> Int {
    -Int(ENOTSUP)
}

private func send(
    _ device: CInt,
    _ pieces: UnsafeMutablePointer<iovec>?,
    _ count: CInt,
    _ context: UnsafeMutableRawPointer?
)
    -> Int
{
    if let agreement = unsafe agreement(context), !agreement.isReached, let pieces = unsafe pieces {
        unsafe agreement.complete(UnsafeMutableBufferPointer(start: pieces, count: Int(count)))
    }
    return unsafe writev(device, pieces, count)
}

private func agreement(_ context: UnsafeMutableRawPointer?) -> Agreement? {
    guard let context = unsafe context else { return nil }
    return unsafe Unmanaged<Server>.fromOpaque(context)._withUnsafeGuaranteedRef { $0.agreement }
}

/// What INIT comes to, beyond what libfuse knows.
final class Agreement: Sendable {
    /// The kernel's newer names and numbers (`include/uapi/linux/fuse.h`).
    private enum Feature {
        /// We remove set-uid bits when a file is written to. We show none on files that can be written to, so there is nothing to do; and the
        /// kernel need not ask for `security.capability` before each write.
        static let handlesPrivileges: UInt32 = 1 << 28
        /// There are further features.
        static let isExtended: UInt32 = 1 << 30
        /// The kernel reads a file of ours from a file of the host.
        static let passthrough: UInt32 = 1 << (37 - 32)
        /// Files may be mapped though they are not cached. Since this is so (Linux 6.6), a write past the pages stores dirty ones first, and drops them.
        static let mapsUncached: UInt32 = 1 << (36 - 32)
    }

    /// The number of the INIT request; 0 before it.
    private let request = Atomic<UInt64>(0)
    private let offered = Atomic<UInt32>(0)
    private let offeredFurther = Atomic<UInt32>(0)
    private let isComplete = Atomic(false)
    private let passesThrough = Atomic(false)
    private let wantsPassthrough: Bool

    init(wantsPassthrough: Bool) {
        self.wantsPassthrough = wantsPassthrough
    }

    /// Whether INIT has been answered.
    var isReached: Bool { isComplete.load(ordering: .relaxed) }
    /// Whether the kernel will read files of the host for us.
    var hasPassthrough: Bool { passesThrough.load(ordering: .relaxed) }
    /// Whether writes past the kernel's pages do no harm to what others have mapped.
    var writesPastPages: Bool { offeredFurther.load(ordering: .relaxed) & Feature.mapsUncached != 0 }

    /// A request has come.
    func hear(_ bytes: UnsafeRawBufferPointer) {
        let header = MemoryLayout<fuse_in_header>.size
        guard bytes.count >= header + MemoryLayout<UInt32>.size * 5 else { return }
        let question = unsafe bytes.loadUnaligned(as: fuse_in_header.self)
        guard question.opcode == FUSE_INIT.rawValue else { return }
        let flags = unsafe bytes.loadUnaligned(fromByteOffset: header + 12, as: UInt32.self)
        offered.store(flags, ordering: .relaxed)
        if flags & Feature.isExtended != 0 {
            offeredFurther.store(
                unsafe bytes.loadUnaligned(fromByteOffset: header + 16, as: UInt32.self),
                ordering: .relaxed
            )
        }
        request.store(question.unique, ordering: .relaxed)
    }

    /// A reply is about to be sent.
    fileprivate func complete(_ pieces: UnsafeMutableBufferPointer<iovec>) {
        guard pieces.count == 2, let first = unsafe pieces[0].iov_base, let second = unsafe pieces[1].iov_base,
            unsafe pieces[0].iov_len == MemoryLayout<fuse_out_header>.size,
            unsafe pieces[1].iov_len >= MemoryLayout<fuse_init_out>.size
        else { return }
        let header = unsafe first.loadUnaligned(as: fuse_out_header.self)
        guard header.error == 0, header.unique == request.load(ordering: .relaxed) else { return }
        var answer = unsafe second.loadUnaligned(as: fuse_init_out.self)
        let offered = offered.load(ordering: .relaxed)
        answer.flags |= offered & Feature.handlesPrivileges
        if wantsPassthrough, offeredFurther.load(ordering: .relaxed) & Feature.passthrough != 0 {
            answer.flags |= Feature.isExtended
            answer.flags2 |= Feature.passthrough
            // `max_stack_depth` in newer headers: the files read from lie on no other stacked file system.
            answer.unused.0 = 1
            passesThrough.store(true, ordering: .relaxed)
        }
        unsafe second.storeBytes(of: answer, as: fuse_init_out.self)
        isComplete.store(true, ordering: .relaxed)
    }
}
