import ByteIO
import CTSK
import FileSystem
import VolumeProtocol
import Volumes

/// NTFS. libtsk does not look at reparse points, so they are read here.
final class NTFSVolume: TSKVolume {
    let fs: UnsafeMutablePointer<TSK_FS_INFO>
    let blocks: UInt64
    /// Every cluster of a file has a run, also where there is nothing.
    let gapsAreHoles = false

    init(_ fs: UnsafeMutablePointer<TSK_FS_INFO>, blocks: UInt64) {
        self.fs = fs
        self.blocks = blocks
    }

    /// The file system's own files.
    func isHidden(_ id: UInt64) -> Bool {
        id < 24 && id != root
    }

    /// A folder keeps what it has freed: such a name leads to a record that is free too, or has become another file's since, with another
    /// sequence number.
    func isStale(_ entry: TSK_FS_NAME, _ file: TSKFile?) -> Bool {
        guard let file = file ?? TSKFile(tsk_fs_file_open_meta(fs, nil, entry.meta_addr)) else {
            tsk_error_reset()
            return false
        }
        return !file.isAllocated || entry.meta_seq != 0 && entry.meta_seq != file.meta.pointee.seq
    }

    /// The sequence number of its record.
    func generation(of file: TSKFile) -> UInt64 { UInt64(file.meta.pointee.seq) }

    private func reparsePoint(of file: TSKFile) throws -> ReparsePoint? {
        guard let attribute = tsk_fs_file_attr_get_type(file.pointer, TSK_FS_ATTR_TYPE_NTFS_REPARSE, 0, 0) else {
            tsk_error_reset()
            return nil
        }
        let count = Int(clamping: min(attribute.pointee.size, 16 << 10))
        guard let bytes = try? read(attribute, count: count), let point = try? ReparsePoint(bytes) else {
            throw Failure(.damaged, "the reparse point of file \(file.meta.pointee.addr) can't be read")
        }
        return point
    }

    /// The target of a link as Interix (Services for Unix) and ntfs-3g store it: a system file with a mark and UTF-16 text.
    private func interixTarget(of file: TSKFile) -> LinkTarget? {
        let mark = Array("IntxLNK\u{1}".utf8)
        let size = Int(clamping: file.meta.pointee.size)
        guard (mark.count + 2...mark.count + 8192).contains(size), isSystemFile(file), let content = file.content,
            let bytes = try? read(content, count: size), bytes.starts(with: mark)
        else { return nil }
        return LinkTarget(posix: decodeUTF16(bytes.dropFirst(mark.count), .little).utf8)
    }

    /// The attribute of DOS, which stands in $STANDARD_INFORMATION.
    private func isSystemFile(_ file: TSKFile) -> Bool {
        guard let information = tsk_fs_file_attr_get_type(file.pointer, TSK_FS_ATTR_TYPE_NTFS_SI, 0, 0),
            let flags = try? read(information, count: 36).load(UInt32.self, at: 32, .little)
        else { return false }
        return flags & 4 != 0
    }

    func attributes(of file: TSKFile) throws -> FileAttributes {
        guard let plain = file.kind else { throw Failure(.damaged, "libtsk's own files aren't shown") }
        let point = try reparsePoint(of: file)
        if point == nil, plain == .regular, let target = interixTarget(of: file) {
            var link = file.attributes(.symbolicLink, allocated: allocated(file.content))
            link.size = UInt64(target.path.count)
            return link
        }
        let kind = point?.kind ?? plain
        var attributes = file.attributes(kind, allocated: plain == .regular ? allocated(file.content) : 0)
        tsk_error_reset()
        if let target = point?.target { attributes.size = UInt64(target.path.count) }
        // Times of NTFS are those of the content; libtsk's `ctime` is that of the record.
        return attributes
    }

    func linkTarget(of file: TSKFile) throws -> LinkTarget {
        guard let target = try reparsePoint(of: file)?.target ?? interixTarget(of: file) else {
            throw Failure(.damaged, "a link without a target")
        }
        return target
    }

    func checkContent(of file: TSKFile) throws {
        guard let point = try reparsePoint(of: file), !point.leavesContent else { return }
        throw Failure(
            .unsupported,
            "file \(file.meta.pointee.addr) is stored in a way that only Windows reads: \(point.name)"
        )
    }

    func streams(of file: TSKFile) -> [Stream] {
        let content = file.content
        tsk_error_reset()
        return file.all.compactMap { attribute -> Stream? in
            guard attribute.pointee.type == TSK_FS_ATTR_TYPE_NTFS_DATA, attribute != content,
                let name = attribute.pointee.name, name.pointee != 0
            else { return nil }
            return Stream(
                id: streamNumber(attribute),
                name: bytesOf(name),
                size: UInt64(max(0, attribute.pointee.size))
            )
        }
    }
}
