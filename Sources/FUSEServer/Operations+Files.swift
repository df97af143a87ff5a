internal import CFuse
internal import FileSystem
internal import Glibc
internal import SystemPackage

/// OPEN.
func open(_ handle: fuse_req_t?, _ node: fuse_ino_t, _ info: UnsafeMutablePointer<fuse_file_info>?) {
    unsafe answer(handle) { request, server throws(Errno) in
        guard let flags = unsafe info?.pointee.flags else { throw .invalidArgument }
        let access = flags & O_ACCMODE
        let mode = OpenMode(
            reads: access != O_WRONLY,
            writes: access != O_RDONLY,
            isSynchronous: flags & O_DSYNC != 0,
            isDirect: flags & Int32(CFUSE_O_DIRECT) != 0
        )
        let opened = try server.tree.open(NodeID(rawValue: node), mode: mode, caller: request.caller)
        let number = server.files.insert(FileHandle(opened.file))
        if !request.reply(open: number, caching: opened.caching) {
            server.files.remove(number)?.file.release()
        }
    }
}

/// WRITE.
func write(
    _ handle: fuse_req_t?,
    _ node: fuse_ino_t,
    _ bytes: UnsafePointer<CChar>?,
    _ size: Int,
    _ offset: off_t,
    _ info: UnsafeMutablePointer<fuse_file_info>?
) {
    unsafe withFile(handle, info) { request, open throws(Errno) in
        guard let offset = UInt64(exactly: offset) else { throw .invalidArgument }
        let memory = unsafe UnsafeRawBufferPointer(start: bytes, count: size)
        let origin = unsafe info.map { unsafe WriteOrigin($0.pointee) } ?? .buffer
        let caller = request.caller
        guard open.isSlow else {
            let span = unsafe RawSpan(_unsafeBytes: memory)
            let count = try open.file.write(
                span,
                at: offset,
                origin: origin,
                caller: caller,
                interruption: uninterrupted
            )
            request.reply(written: min(max(count, 0), size))
            return
        }
        let copy = unsafe [UInt8](memory)
        let file = open.file
        request.server.runSlowly(request) { interruption throws(Errno) in
            let count = try unsafe file.write(
                copy.span.bytes,
                at: offset,
                origin: origin,
                caller: caller,
                interruption: interruption
            )
            return .written(min(max(count, 0), copy.count))
        }
    }
}

extension WriteOrigin {
    /// The flags are those of the open file at the time of the write: `fcntl` may have changed them since it was opened.
    fileprivate init(_ info: fuse_file_info) {
        self = info.writepage != 0 ? .pages : info.flags & Int32(CFUSE_O_DIRECT) != 0 ? .direct : .buffer
    }
}

/// FLUSH: comes at each `close(2)` of a copy of the descriptor.
func flush(_ handle: fuse_req_t?, _ node: fuse_ino_t, _ info: UnsafeMutablePointer<fuse_file_info>?) {
    unsafe withFile(handle, info) { request, open throws(Errno) in
        guard open.isSlow else {
            try open.file.flush()
            request.succeed()
            return
        }
        let file = open.file
        request.server.runSlowly(request) { _ throws(Errno) in
            try file.flush()
            return .done
        }
    }
}

/// RELEASE: comes once, after the last `close(2)`.
func release(_ handle: fuse_req_t?, _ node: fuse_ino_t, _ info: UnsafeMutablePointer<fuse_file_info>?) {
    unsafe answer(handle) { request, server throws(Errno) in
        guard let number = unsafe info?.pointee.fh, let open = server.files.remove(number) else {
            throw .badFileDescriptor
        }
        guard open.isSlow else {
            open.file.release()
            request.succeed()
            return
        }
        let file = open.file
        server.runSlowly(request) { _ throws(Errno) in
            file.release()
            return .done
        }
    }
}

/// FSYNC, for `fdatasync` too: an image has no data without its metadata.
func synchronize(
    _ handle: fuse_req_t?,
    _ node: fuse_ino_t,
    _ dataOnly: Int32,
    _ info: UnsafeMutablePointer<fuse_file_info>?
) {
    unsafe withFile(handle, info) { request, open throws(Errno) in
        try open.file.synchronize()
        request.succeed()
    }
}

/// LSEEK; the kernel asks only for SEEK_DATA and SEEK_HOLE.
func seek(
    _ handle: fuse_req_t?,
    _ node: fuse_ino_t,
    _ offset: off_t,
    _ whence: Int32,
    _ info: UnsafeMutablePointer<fuse_file_info>?
) {
    unsafe withFile(handle, info) { request, open throws(Errno) in
        guard let offset = UInt64(exactly: offset) else { throw .noSuchAddressOrDevice }
        switch whence {
        case Int32(CFUSE_SEEK_DATA): request.reply(offset: try open.file.seek(.data, from: offset))
        case Int32(CFUSE_SEEK_HOLE): request.reply(offset: try open.file.seek(.hole, from: offset))
        default: throw .invalidArgument
        }
    }
}

/// FALLOCATE.
func allocate(
    _ handle: fuse_req_t?,
    _ node: fuse_ino_t,
    _ mode: Int32,
    _ offset: off_t,
    _ count: off_t,
    _ info: UnsafeMutablePointer<fuse_file_info>?
) {
    unsafe withFile(handle, info) { request, open throws(Errno) in
        let wish: AllocationRequest
        switch mode {
        case 0: wish = .allocate
        case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE: wish = .punchHole
        case FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE: wish = .zeroRange
        default: throw .notSupported
        }
        guard let offset = UInt64(exactly: offset), let count = UInt64(exactly: count) else { throw .invalidArgument }
        try open.file.allocate(wish, at: offset, count: count)
        request.succeed()
    }
}

/// What files that aren't slow are given: nobody raises it.
private let uninterrupted = Interruption()

/// Runs an operation on an open file, as `answer` does, without a count of references to the server or the file.
private func withFile(
    _ handle: fuse_req_t?,
    _ info: UnsafeMutablePointer<fuse_file_info>?,
    _ operation: (Request, FileHandle) throws(Errno) -> Void
) {
    guard let request = unsafe Request(handle) else { return }
    let wasFound: Void? = unsafe info.flatMap { info in
        unsafe HandleTable<FileHandle>.with(info.pointee.fh) { open in
            do throws(Errno) {
                try operation(request, open)
            } catch {
                request.fail(error)
            }
        }
    }
    if wasFound == nil { request.fail(.badFileDescriptor) }
}
