internal import CFuse
internal import FileSystem
internal import Glibc
internal import Platform
internal import SystemPackage

extension Request {
    /// Says that it is done.
    func succeed() {
        unsafe fuse_reply_err(handle, 0)
    }

    /// Says why not.
    func fail(_ error: Errno) {
        unsafe fuse_reply_err(handle, error.fuseNumber)
    }

    /// Answers LOOKUP. False when nobody waits for it any more, so that the kernel has not counted the reference.
    func reply(_ entry: Entry) -> Bool {
        var parameters = fuse_entry_param(entry)
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

    /// Answers READDIR; nil and empty are the end.
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
        switch caching {
        case .stream: return reply(open: number, flags: FOPEN_DIRECT_IO | FOPEN_STREAM | FOPEN_NONSEEKABLE, backing: 0)
        case .passthrough(let file): return reply(open: number, flags: CFUSE_FOPEN_PASSTHROUGH, backing: file.rawValue)
        case .keep, .fresh, .direct, .writesDirectly: break
        }
        var info = fuse_file_info()
        info.fh = number
        info.keep_cache = [.keep, .writesDirectly].contains(caching) ? 1 : 0
        info.direct_io = [.direct, .writesDirectly].contains(caching) ? 1 : 0
        return unsafe fuse_reply_open(handle, &info) != -ENOENT
    }

    /// The kernel's own form of an answer to OPEN, for what `fuse_file_info` has no field for.
    private func reply(open number: UInt64, flags: some BinaryInteger, backing: Int32) -> Bool {
        // The number of a lent file stands where older headers have padding.
        let reply = fuse_open_out(fh: number, open_flags: UInt32(flags), padding: UInt32(bitPattern: backing))
        return unsafe withUnsafeBytes(of: reply) { bytes in
            unsafe fuse_reply_buf(handle, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
                != -ENOENT
        }
    }

    /// Answers OPENDIR. False as for OPEN.
    func reply(openDirectory number: UInt64, isLasting: Bool) -> Bool {
        var info = fuse_file_info()
        info.fh = number
        info.cache_readdir = isLasting ? 1 : 0
        info.keep_cache = isLasting ? 1 : 0
        return unsafe fuse_reply_open(handle, &info) != -ENOENT
    }

    /// Answers GETXATTR and LISTXATTR: with the length alone if the caller has no room yet.
    func reply(_ value: [UInt8], room: Int) {
        if room == 0 {
            unsafe fuse_reply_xattr(handle, value.count)
        } else if value.count > room {
            fail(.outOfRange)
        } else {
            unsafe value.withUnsafeBytes { unsafe reply($0) }
        }
    }

    /// Answers STATFS. To write, there is no room: nothing grows here.
    func reply(_ statistics: FileSystemStatistics) {
        var answer = statvfs()
        let block = UInt64(max(statistics.blockSize, 1))
        answer.f_bsize = UInt(block)
        answer.f_frsize = UInt(block)
        answer.f_blocks = UInt(statistics.totalBytes / block)
        answer.f_bfree = UInt(statistics.freeBytes / block)
        answer.f_files = UInt(statistics.nodes)
        answer.f_namemax = UInt(usualNameLimit)
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
        st_mtim = timespec(attributes.modified)
        st_atim = timespec(attributes.accessed ?? attributes.modified)
        st_ctim = timespec(attributes.changed ?? attributes.modified)
        if let device = attributes.device {
            // As the kernel packs it into FUSE's 32 bits: 12 of the major number, 20 of the minor.
            st_rdev = UInt(device.major & 0xFFF) << 8 | UInt(device.minor & 0xFF) | UInt(device.minor & 0xFFF00) << 12
        }
    }
}

extension timespec {
    fileprivate init(_ time: Timestamp) {
        self.init(tv_sec: Int(time.seconds), tv_nsec: Int(time.nanoseconds))
    }
}

extension fuse_entry_param {
    /// The kernel's form of a look-up's answer.
    init(_ entry: Entry) {
        self.init()
        ino = entry.node.rawValue
        generation = entry.answer.attributes.generation
        attr = stat(entry.answer.attributes)
        attr_timeout = entry.answer.validity
        entry_timeout = entry.nameValidity
    }

    /// A name without a look-up: the kernel will ask when it wants to know more.
    init(_ entry: DirectoryEntry) {
        self.init()
        attr.st_ino = UInt(entry.inode)
        attr.st_mode = entry.kind.mode
    }
}
