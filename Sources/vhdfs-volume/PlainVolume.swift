import CTSK
import FileSystem
import VolumeProtocol
import Volumes

/// HFS+, and what FAT and exFAT share with it.
class PlainVolume: TSKVolume {
    let fs: UnsafeMutablePointer<TSK_FS_INFO>
    let blocks: UInt64
    let gapsAreHoles = false

    init(_ fs: UnsafeMutablePointer<TSK_FS_INFO>, blocks: UInt64) throws {
        self.fs = fs
        self.blocks = blocks
    }

    /// The catalogue and its like.
    func isHidden(_ id: UInt64) -> Bool {
        isHFS && id < 16 && id != root
    }

    func name(_ name: [UInt8], of id: UInt64) -> [UInt8]? { name }

    /// When it was made: HFS+ gives no number to a second file.
    func generation(of file: TSKFile) throws -> UInt64 { creationTime(of: file) }

    func writtenSize(of file: TSKFile) throws -> UInt64 { .max }

    private var isHFS: Bool { fs.pointee.ftype == TSK_FS_TYPE_HFS }

    func attributes(of file: TSKFile) throws -> FileAttributes {
        guard let kind = file.kind else { throw Failure(.damaged, "libtsk's own files aren't shown") }
        let size = UInt64(max(0, file.meta.pointee.size))
        var attributes = file.attributes(kind, allocated: (size + blockSize - 1) / blockSize * blockSize)
        if isHFS {
            attributes.permissions = UInt16(truncatingIfNeeded: file.meta.pointee.mode.rawValue & 0o7777)
            attributes.owner = file.meta.pointee.uid
            attributes.group = file.meta.pointee.gid
        } else {
            // Folders of FAT have no size of their own; changes of attributes have no time.
            attributes.changed = attributes.modified
        }
        return attributes
    }

    func linkTarget(of file: TSKFile) throws -> LinkTarget {
        guard let link = file.meta.pointee.link else { throw Failure(.damaged, "a symbolic link without a target") }
        return LinkTarget(posix: bytesOf(link))
    }
}
