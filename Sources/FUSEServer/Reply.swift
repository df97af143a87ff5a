internal import CFuse
internal import FileSystem
internal import Glibc
internal import SystemPackage

extension Request {
    /// Says that it is done.
    func succeed() {
        unsafe fuse_reply_err(handle, 0)
    }

    /// Says why not.
    ///
    /// The kernel takes only 1 to 511, and the caller of anything else hangs for ever. ENOSYS would stop it from ever asking again, for an
    /// `fsync` even with success.
    func fail(_ error: Errno) {
        let number =
            switch error.rawValue {
            case ENOSYS: EOPNOTSUPP
            case 1...511: error.rawValue
            default: EIO
            }
        unsafe fuse_reply_err(handle, number)
    }

    /// Answers LOOKUP. False when nobody waits for it any more, so that the kernel has not counted the reference.
    func reply(_ entry: Entry) -> Bool {
        var parameters = fuse_entry_param()
        parameters.ino = entry.node.rawValue
        parameters.attr = stat(entry.answer.attributes)
        parameters.attr_timeout = entry.answer.validity
        parameters.entry_timeout = entry.nameValidity
        return unsafe fuse_reply_entry(handle, &parameters) != -ENOENT
    }

    /// Answers GETATTR and SETATTR.
    func reply(_ answer: AttributeAnswer) {
        var attributes = stat(answer.attributes)
        unsafe fuse_reply_attr(handle, &attributes, answer.validity)
    }

    /// Answers READLINK.
    func reply(linkTarget: [UInt8]) {
        let text = (linkTarget + [0]).map { CChar(bitPattern: $0) }
        unsafe fuse_reply_readlink(handle, text)
    }

    /// Answers READ and READDIR; nil and empty are the end.
    func reply(_ bytes: UnsafeRawBufferPointer) {
        unsafe fuse_reply_buf(handle, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
    }

    /// Answers WRITE.
    func reply(written count: Int) {
        unsafe fuse_reply_write(handle, count)
    }

    /// Answers LSEEK.
    func reply(offset: UInt64) {
        guard let offset = Int64(exactly: offset) else { return fail(.outOfRange) }
        unsafe fuse_reply_lseek(handle, off_t(offset))
    }

    /// Answers OPEN. False when nobody waits for it any more: then no RELEASE will come.
    func reply(open number: UInt64, caching: OpenedFile.Caching) -> Bool {
        if caching == .stream { return replyStream(open: number) }
        var info = fuse_file_info()
        info.fh = number
        info.keep_cache = caching == .keep ? 1 : 0
        info.direct_io = caching == .direct ? 1 : 0
        return unsafe fuse_reply_open(handle, &info) != -ENOENT
    }

    /// The kernel's own form of an answer to OPEN, since `fuse_file_info` has no field for a stream.
    private func replyStream(open number: UInt64) -> Bool {
        let flags = FOPEN_DIRECT_IO | FOPEN_STREAM | FOPEN_NONSEEKABLE
        let reply = fuse_open_out(fh: number, open_flags: UInt32(flags), padding: 0)
        return unsafe withUnsafeBytes(of: reply) { bytes in
            unsafe fuse_reply_buf(handle, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
                != -ENOENT
        }
    }

    /// Answers OPENDIR. False as for OPEN.
    func reply(openDirectory number: UInt64) -> Bool {
        var info = fuse_file_info()
        info.fh = number
        return unsafe fuse_reply_open(handle, &info) != -ENOENT
    }

    /// Answers STATFS: a full file system, because nothing grows here.
    func reply(_ statistics: FileSystemStatistics) {
        var answer = statvfs()
        answer.f_bsize = UInt(Attributes.blockSize)
        answer.f_frsize = UInt(Attributes.blockSize)
        answer.f_blocks = UInt(statistics.totalBytes) / UInt(Attributes.blockSize)
        answer.f_files = UInt(statistics.nodes)
        answer.f_namemax = 255
        unsafe fuse_reply_statfs(handle, &answer)
    }
}

extension Attributes {
    /// The size of I/O that we recommend, in bytes (`st_blksize`).
    static let blockSize = 4096
}

extension NodeKind {
    /// The kind as the upper bits of `st_mode`.
    var mode: mode_t {
        switch self {
        case .directory: S_IFDIR
        case .regular: S_IFREG
        case .symbolicLink: S_IFLNK
        case .characterDevice: S_IFCHR
        case .blockDevice: S_IFBLK
        case .fifo: S_IFIFO
        case .socket: S_IFSOCK
        }
    }
}

extension stat {
    /// The kernel's form of a node's attributes.
    init(_ attributes: Attributes) {
        self.init()
        st_ino = UInt(attributes.inode)
        st_mode = attributes.kind.mode | mode_t(attributes.permissions & 0o7777)
        st_nlink = UInt(attributes.linkCount)
        st_uid = attributes.owner
        st_gid = attributes.group
        st_size = Int(clamping: attributes.size)
        st_blksize = Attributes.blockSize
        let (units, rest) = attributes.allocatedBytes.quotientAndRemainder(dividingBy: 512)
        st_blocks = Int(units) + (rest > 0 ? 1 : 0)
        let time = timespec(
            tv_sec: Int(attributes.modified.seconds),
            tv_nsec: Int(attributes.modified.nanoseconds)
        )
        (st_atim, st_mtim, st_ctim) = (time, time, time)
    }
}
