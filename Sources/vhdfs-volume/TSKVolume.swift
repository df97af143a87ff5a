import CTSK
import FileSystem
import Glibc
import VolumeProtocol
import Volumes

/// The bytes of a text of C.
func bytesOf(_ text: UnsafePointer<CChar>) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
}

/// A stream beside a file's content.
struct Stream {
    var id: UInt32
    var name: [UInt8]
    var size: UInt64
}

/// A file system as libtsk reads it. What differs between file systems has methods of its own.
protocol TSKVolume: AnyObject {
    var fs: UnsafeMutablePointer<TSK_FS_INFO> { get }
    /// Blocks of the volume.
    var blocks: UInt64 { get }

    /// What the file is, and its attributes.
    func attributes(of file: TSKFile) throws -> FileAttributes
    func linkTarget(of file: TSKFile) throws -> LinkTarget
    /// Throws when the content must not be read as it stands.
    func checkContent(of file: TSKFile) throws
    func streams(of file: TSKFile) -> [Stream]
    /// A number that differs when the file's number is another file's.
    func generation(of file: TSKFile) throws -> UInt64
    /// Whether bytes that no run covers are a hole (else they are lost).
    var gapsAreHoles: Bool { get }
    func isHidden(_ id: UInt64) -> Bool
    /// How many bytes of a content have ever been written, if less than libtsk says; what follows reads as zeros.
    func writtenSize(of file: TSKFile) throws -> UInt64
    /// Whether an entry of a folder is left over from a file that is deleted.
    func isStale(_ entry: TSK_FS_NAME, _ file: TSKFile?) -> Bool
    /// The name of an entry as it should be; nil if it is none that is to be shown.
    func name(_ name: [UInt8], of id: UInt64) -> [UInt8]?
}

/// A file that libtsk has opened; closed with this object.
final class TSKFile {
    let pointer: UnsafeMutablePointer<TSK_FS_FILE>
    let meta: UnsafeMutablePointer<TSK_FS_META>

    init?(_ pointer: UnsafeMutablePointer<TSK_FS_FILE>?) {
        guard let pointer else { return nil }
        guard let meta = pointer.pointee.meta else {
            tsk_fs_file_close(pointer)
            return nil
        }
        self.pointer = pointer
        self.meta = meta
    }

    deinit {
        tsk_fs_file_close(pointer)
    }

    var isAllocated: Bool { meta.pointee.flags.rawValue & TSK_FS_META_FLAG_ALLOC.rawValue != 0 }

    /// All attributes (in the sense of NTFS): content, streams, and others.
    var all: [UnsafePointer<TSK_FS_ATTR>] {
        (0..<max(0, tsk_fs_file_attr_getsize(pointer))).compactMap { tsk_fs_file_attr_get_idx(pointer, $0) }
    }

    /// The content.
    var content: UnsafePointer<TSK_FS_ATTR>? { tsk_fs_file_attr_get(pointer) }

    /// What libtsk thinks that it is; nil for what it has made up.
    var kind: NodeKind? {
        switch meta.pointee.type {
        case TSK_FS_META_TYPE_REG: .regular
        case TSK_FS_META_TYPE_DIR: .directory
        case TSK_FS_META_TYPE_LNK: .symbolicLink
        case TSK_FS_META_TYPE_CHR: .characterDevice
        case TSK_FS_META_TYPE_BLK: .blockDevice
        case TSK_FS_META_TYPE_FIFO: .fifo
        case TSK_FS_META_TYPE_SOCK: .socket
        default: nil
        }
    }

    /// Attributes that all file systems have.
    func attributes(_ kind: NodeKind, allocated: UInt64) -> FileAttributes {
        func time(_ seconds: Int, _ nanoseconds: UInt32) -> Timestamp {
            Timestamp(seconds: Int64(seconds), nanoseconds: Int64(min(nanoseconds, 999_999_999)))
        }
        let meta = meta.pointee
        return FileAttributes(
            kind: kind,
            size: UInt64(max(0, meta.size)),
            allocatedBytes: allocated,
            linkCount: UInt32(clamping: max(1, meta.nlink)),
            modified: time(meta.mtime, meta.mtime_nano),
            accessed: time(meta.atime, meta.atime_nano),
            changed: time(meta.ctime, meta.ctime_nano)
        )
    }
}

extension TSKVolume {
    var root: UInt64 { fs.pointee.root_inum }
    var blockSize: UInt64 { UInt64(max(1, fs.pointee.block_size)) }

    func streams(of file: TSKFile) -> [Stream] { [] }
    func isHidden(_ id: UInt64) -> Bool { false }
    func isStale(_ entry: TSK_FS_NAME, _ file: TSKFile?) -> Bool { false }
    func writtenSize(of file: TSKFile) throws -> UInt64 { .max }
    func name(_ name: [UInt8], of id: UInt64) -> [UInt8]? { name }
    func checkContent(of file: TSKFile) throws {}

    /// When a file was made, in a number.
    func creationTime(of file: TSKFile) -> UInt64 {
        UInt64(bitPattern: Int64(file.meta.pointee.crtime)) << 30 ^ UInt64(file.meta.pointee.crtime_nano)
    }

    /// Reads bytes of the volume.
    func bytes(at offset: UInt64, count: Int) throws -> [UInt8] {
        guard let offset = Int64(exactly: offset) else { throw Failure(.damaged, "bytes past every end") }
        var done = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
            buffer.withMemoryRebound(to: CChar.self) { done = ctsk_read(fs, offset, $0.baseAddress, count) }
            used = max(0, min(count, done))
        }
        guard done == count else { throw Failure.library("\(count) bytes at \(offset)") }
        return bytes
    }

    /// Opens a file by its number.
    func file(_ id: UInt64) throws -> TSKFile {
        // The last number is libtsk's own, for the files that it has found without names.
        guard id >= fs.pointee.first_inum, id <= fs.pointee.last_inum, !isInvented(id),
            let file = TSKFile(tsk_fs_file_open_meta(fs, nil, id))
        else { throw Failure.library("file \(id)") }
        guard file.isAllocated else { throw Failure(.damaged, "file \(id) is deleted") }
        return file
    }

    /// Whether libtsk has made a number up, for a folder of files without names. It does not for HFS+.
    private func isInvented(_ id: UInt64) -> Bool {
        id == fs.pointee.last_inum && id != root && fs.pointee.ftype != TSK_FS_TYPE_HFS
    }

    func attributes(of id: UInt64) throws -> FileAttributes {
        try allAttributes(of: try file(id))
    }

    private func allAttributes(of file: TSKFile) throws -> FileAttributes {
        var attributes = try attributes(of: file)
        attributes.generation = try generation(of: file)
        return attributes
    }

    func linkTarget(of id: UInt64) throws -> LinkTarget {
        try linkTarget(of: try file(id))
    }

    func streams(of id: UInt64) throws -> [Stream] {
        streams(of: try file(id))
    }

    // MARK: Folders

    /// Hands out the names of a folder; returns its parent.
    func folder(
        _ id: UInt64,
        each: (_ name: [UInt8], _ id: UInt64, _ isHidden: Bool, _ kind: NodeKind, _ attributes: FileAttributes?) -> Void
    ) throws -> UInt64? {
        guard try file(id).kind == .directory else { throw Failure(.damaged, "file \(id) is no folder") }
        guard let folder = tsk_fs_dir_open_meta(fs, id) else { throw Failure.library("folder \(id)") }
        defer { tsk_fs_dir_close(folder) }
        var parent: UInt64?
        for index in 0..<tsk_fs_dir_getsize(folder) {
            guard let entry = tsk_fs_dir_get_name(folder, index)?.pointee, let text = entry.name,
                entry.flags.rawValue & TSK_FS_NAME_FLAG_ALLOC.rawValue != 0
            else { continue }
            let name = bytesOf(text)
            if name == [0x2E] || name.isEmpty { continue }
            if name == [0x2E, 0x2E] {
                parent = entry.meta_addr
                continue
            }
            guard entry.type != TSK_FS_NAME_TYPE_VIRT, entry.type != TSK_FS_NAME_TYPE_VIRT_DIR,
                !isInvented(entry.meta_addr), let shown = self.name(name, of: entry.meta_addr)
            else { continue }
            let file = TSKFile(tsk_fs_dir_get(folder, index))
            tsk_error_reset()
            if isStale(entry, file) { continue }
            let attributes = file.flatMap { $0.isAllocated ? try? allAttributes(of: $0) : nil }
            // What can't be opened is shown all the same: then each look at it says why it can't.
            each(shown, entry.meta_addr, isHidden(entry.meta_addr), attributes?.kind ?? kind(entry.type), attributes)
        }
        return id == root ? nil : parent
    }

    private func kind(_ type: TSK_FS_NAME_TYPE_ENUM) -> NodeKind {
        switch type {
        case TSK_FS_NAME_TYPE_DIR: .directory
        case TSK_FS_NAME_TYPE_LNK: .symbolicLink
        case TSK_FS_NAME_TYPE_CHR: .characterDevice
        case TSK_FS_NAME_TYPE_BLK: .blockDevice
        case TSK_FS_NAME_TYPE_FIFO: .fifo
        case TSK_FS_NAME_TYPE_SOCK: .socket
        default: .regular
        }
    }

    // MARK: Content

    func content(of id: UInt64) throws -> (size: UInt64, generation: UInt64, runs: [ContentRun]) {
        let file = try file(id)
        let generation = try generation(of: file)
        guard try attributes(of: file).kind == .regular else { throw Failure(.damaged, "file \(id) has no content") }
        try checkContent(of: file)
        guard let content = file.content else {
            if file.meta.pointee.size == 0 {
                tsk_error_reset()
                return (0, generation, [])
            }
            throw Failure.library("the content of file \(id)")
        }
        let attribute = content.pointee
        let size = UInt64(max(0, attribute.size))
        guard attribute.flags.rawValue & TSK_FS_ATTR_ENC.rawValue == 0 else {
            throw Failure(.unsupported, "file \(id) is encrypted (EFS)")
        }
        let isPlain =
            attribute.flags.rawValue & TSK_FS_ATTR_NONRES.rawValue != 0
            && attribute.flags.rawValue & TSK_FS_ATTR_COMP.rawValue == 0 && attribute.nrd.skiplen == 0
        return (
            size,
            generation,
            isPlain
                ? try runs(of: attribute, size: size, written: try writtenSize(of: file))
                : size == 0 ? [] : [ContentRun(.child, count: size)]
        )
    }

    /// The runs of a content that stands on the volume as it is.
    private func runs(of attribute: TSK_FS_ATTR, size: UInt64, written: UInt64) throws -> [ContentRun] {
        let initialized = min(size, written, UInt64(max(0, attribute.nrd.initsize)))
        var runs: [ContentRun] = []
        var position: UInt64 = 0
        func add(_ place: ContentRun.Place, upTo end: UInt64) {
            let end = min(end, initialized)
            guard end > position else { return }
            runs.append(ContentRun(place, count: end - position))
            position = end
        }
        let gap: ContentRun.Place = gapsAreHoles ? .hole : .lost
        var next = attribute.nrd.run
        while let run = next?.pointee, position < initialized {
            next = run.next
            let (start, startOverflow) = run.offset.multipliedReportingOverflow(by: blockSize)
            let (length, lengthOverflow) = run.len.multipliedReportingOverflow(by: blockSize)
            let (end, endOverflow) = start.addingReportingOverflow(length)
            guard !startOverflow, !lengthOverflow, !endOverflow, start >= position else {
                throw Failure(.damaged, "the runs of a file contradict each other")
            }
            add(gap, upTo: start)
            let flags = run.flags.rawValue
            if flags & TSK_FS_ATTR_RUN_FLAG_SPARSE.rawValue != 0 {
                add(.hole, upTo: end)
            } else if flags & TSK_FS_ATTR_RUN_FLAG_FILLER.rawValue != 0 {
                add(gap, upTo: end)
            } else if run.addr >= blocks || run.len > blocks - run.addr {
                add(.lost, upTo: end)
            } else {
                add(.volume(run.addr * blockSize), upTo: end)
            }
        }
        add(gap, upTo: initialized)
        // What has never been written reads as zeros, by definition.
        if size > initialized { runs.append(ContentRun(.hole, count: size - initialized)) }
        return runs
    }

    func read(_ id: UInt64, stream: UInt32, offset: UInt64, count: Int) throws -> [UInt8] {
        let file = try file(id)
        if stream == 0 { try checkContent(of: file) }
        let found = stream == 0 ? file.content : file.all.first { streamNumber($0) == stream }
        guard let found, let offset = Int64(exactly: offset) else { throw Failure.library("the content of file \(id)") }
        guard found.pointee.flags.rawValue & TSK_FS_ATTR_ENC.rawValue == 0 else {
            throw Failure(.unsupported, "file \(id) is encrypted (EFS)")
        }
        let count = min(count, Frame.byteLimit, Int(clamping: max(0, found.pointee.size - offset)))
        var done = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
            buffer.withMemoryRebound(to: CChar.self) { buffer in
                done = tsk_fs_attr_read(found, offset, buffer.baseAddress, count, TSK_FS_FILE_READ_FLAG_NONE)
            }
            used = max(0, min(count, done))
        }
        guard done == count else { throw Failure.library("file \(id) at \(offset)") }
        return bytes
    }

    /// The first bytes of an attribute.
    func read(_ attribute: UnsafePointer<TSK_FS_ATTR>, count: Int) throws -> [UInt8] {
        var done = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
            buffer.withMemoryRebound(to: CChar.self) {
                done = tsk_fs_attr_read(attribute, 0, $0.baseAddress, count, TSK_FS_FILE_READ_FLAG_NONE)
            }
            used = max(0, min(count, done))
        }
        guard done == count else { throw Failure.library("an attribute") }
        return bytes
    }

    /// The number of a stream in the protocol.
    func streamNumber(_ attribute: UnsafePointer<TSK_FS_ATTR>) -> UInt32 {
        UInt32(attribute.pointee.id) << 16 | UInt32(truncatingIfNeeded: attribute.pointee.type.rawValue) | 1 << 15
    }
}

extension TSKVolume {
    /// What the content takes on the volume.
    func allocated(_ attribute: UnsafePointer<TSK_FS_ATTR>?) -> UInt64 {
        guard let attribute, attribute.pointee.flags.rawValue & TSK_FS_ATTR_NONRES.rawValue != 0 else { return 0 }
        let notStored = TSK_FS_ATTR_RUN_FLAG_SPARSE.rawValue | TSK_FS_ATTR_RUN_FLAG_FILLER.rawValue
        var blocks: UInt64 = 0
        var next = attribute.pointee.nrd.run
        while let run = next?.pointee {
            if run.flags.rawValue & notStored == 0 { blocks &+= run.len }
            next = run.next
        }
        return blocks.multipliedReportingOverflow(by: blockSize).partialValue
    }
}
