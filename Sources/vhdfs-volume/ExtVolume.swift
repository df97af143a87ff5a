import ByteIO
import CTSK
import FileSystem
import VolumeProtocol
import Volumes

/// ext2, ext3 and ext4. libtsk does not tell an inode's flags, device numbers and the upper bits of its times, so the inode is read here too.
final class ExtVolume: TSKVolume {
    let fs: UnsafeMutablePointer<TSK_FS_INFO>
    let blocks: UInt64
    /// Blocks without a place are holes.
    let gapsAreHoles = true

    private let inodeSize: UInt64
    private let inodesPerGroup: UInt64
    private let descriptorSize: UInt64
    private let descriptorsAt: UInt64
    /// Whether inodes are where they are looked for: meta block groups have their descriptors elsewhere.
    private let findsInodes: Bool

    private static let encryptedFlag: UInt32 = 0x800
    private static let extentsFlag: UInt32 = 0x80000

    init(_ fs: UnsafeMutablePointer<TSK_FS_INFO>, blocks: UInt64) throws {
        self.fs = fs
        self.blocks = blocks
        let bytes = try Self.superblock(fs)
        let revision = try bytes.load(UInt32.self, at: 0x4C, .little)
        inodeSize = revision == 0 ? 128 : UInt64(try bytes.load(UInt16.self, at: 0x58, .little))
        inodesPerGroup = UInt64(try bytes.load(UInt32.self, at: 0x28, .little))
        findsInodes = try bytes.load(UInt32.self, at: 0x60, .little) & 0x10 == 0
        let is64Bit = try bytes.load(UInt32.self, at: 0x60, .little) & 0x80 != 0
        descriptorSize = is64Bit ? UInt64(try bytes.load(UInt16.self, at: 0xFE, .little)) : 32
        let first = UInt64(try bytes.load(UInt32.self, at: 0x14, .little))
        descriptorsAt = (first + 1) * UInt64(max(1, fs.pointee.block_size))
        guard inodesPerGroup > 0, (128...65536).contains(inodeSize), (32...1024).contains(descriptorSize) else {
            throw Failure(.damaged, "the superblock contradicts itself")
        }
    }

    private static func superblock(_ fs: UnsafeMutablePointer<TSK_FS_INFO>) throws -> [UInt8] {
        var bytes = [CChar](repeating: 0, count: 1024)
        guard ctsk_read(fs, 1024, &bytes, bytes.count) == bytes.count else { throw Failure.library("the superblock") }
        return bytes.map(UInt8.init(bitPattern:))
    }

    /// The inode as it stands on the volume.
    private func inode(_ number: UInt64) throws -> [UInt8] {
        guard number > 0 else { throw Failure(.damaged, "there is no inode 0") }
        let (group, index) = (number - 1).quotientAndRemainder(dividingBy: inodesPerGroup)
        // With meta block groups descriptors lie elsewhere; then what is found there is no inode of that file, and `isSame` says so.
        let descriptor = try bytes(at: descriptorsAt + group * descriptorSize, count: Int(descriptorSize))
        var table = UInt64(try descriptor.load(UInt32.self, at: 8, .little))
        if descriptorSize >= 64 { table |= UInt64(try descriptor.load(UInt32.self, at: 0x28, .little)) << 32 }
        let (start, overflow) = table.multipliedReportingOverflow(by: blockSize)
        guard !overflow, start < 1 << 62 else { throw Failure(.damaged, "inode \(number) lies past every end") }
        return try bytes(at: start + index * inodeSize, count: Int(min(inodeSize, 256)))
    }

    /// Whether a stored inode is the one that libtsk has read.
    private func isSame(_ inode: [UInt8], _ file: TSKFile) throws -> Bool {
        let mode = try inode.load(UInt16.self, at: 0, .little)
        let changed = try inode.load(Int32.self, at: 12, .little)
        return mode & 0o7777 == UInt16(truncatingIfNeeded: file.meta.pointee.mode.rawValue) & 0o7777
            && changed == Int32(truncatingIfNeeded: file.meta.pointee.ctime)
    }

    private func storedInode(of file: TSKFile) -> [UInt8]? {
        guard let inode = try? inode(file.meta.pointee.addr), (try? isSame(inode, file)) == true else {
            tsk_error_reset()
            return nil
        }
        return inode
    }

    func attributes(of file: TSKFile) throws -> FileAttributes {
        guard let kind = file.kind else { throw Failure(.damaged, "libtsk's own files aren't shown") }
        var attributes = file.attributes(kind, allocated: 0)
        attributes.permissions = UInt16(truncatingIfNeeded: file.meta.pointee.mode.rawValue & 0o7777)
        attributes.owner = file.meta.pointee.uid
        attributes.group = file.meta.pointee.gid
        guard let inode = storedInode(of: file) else { return attributes }
        try complete(&attributes, from: inode)
        return attributes
    }

    /// Adds what libtsk does not tell.
    private func complete(_ attributes: inout FileAttributes, from inode: [UInt8]) throws {
        let flags = try inode.load(UInt32.self, at: 0x20, .little)
        var units = UInt64(try inode.load(UInt32.self, at: 0x1C, .little))
        units |= UInt64(try inode.load(UInt16.self, at: 0x74, .little)) << 32
        // Huge files count in blocks.
        attributes.allocatedBytes = units * (flags & 0x40000 == 0 ? 512 : blockSize)
        if attributes.kind == .characterDevice || attributes.kind == .blockDevice {
            let old = try inode.load(UInt32.self, at: 0x28, .little)
            let new = try inode.load(UInt32.self, at: 0x2C, .little)
            attributes.device =
                old != 0
                ? DeviceNumber(major: old >> 8 & 0xFF, minor: old & 0xFF)
                : DeviceNumber(major: new >> 8 & 0xFFF, minor: new & 0xFF | new >> 12 & 0xFFF00)
        }
        attributes.changed = try time(inode, 0x0C, extra: 0x84)
        attributes.modified = try time(inode, 0x10, extra: 0x88)
        attributes.accessed = try time(inode, 0x08, extra: 0x8C)
    }

    /// Seconds with a sign; in large inodes two more bits of them, and nanoseconds.
    private func time(_ inode: [UInt8], _ offset: Int, extra: Int) throws -> Timestamp {
        let seconds = Int64(try inode.load(Int32.self, at: offset, .little))
        let extraEnd = inode.count >= 0x82 ? 0x80 + Int(try inode.load(UInt16.self, at: 0x80, .little)) : 0
        guard extra + 4 <= min(extraEnd, inode.count) else { return Timestamp(seconds: seconds) }
        let bits = try inode.load(UInt32.self, at: extra, .little)
        return Timestamp(seconds: seconds + Int64(bits & 3) << 32, nanoseconds: Int64(min(bits >> 2, 999_999_999)))
    }

    /// `i_generation`; of what stands there now, which may have changed in other ways since libtsk has read it.
    func generation(of file: TSKFile) throws -> UInt64 {
        findsInodes ? UInt64(try inode(file.meta.pointee.addr).load(UInt32.self, at: 0x64, .little)) : 0
    }

    func linkTarget(of file: TSKFile) throws -> LinkTarget {
        try checkContent(of: file)
        // libtsk takes the place of a target that an extent leads to for an old list of blocks.
        if let inode = storedInode(of: file), try inode.load(UInt32.self, at: 0x20, .little) & Self.extentsFlag != 0 {
            let size = Int(clamping: file.meta.pointee.size)
            guard (1...4096).contains(size), let content = file.content else {
                throw Failure(.damaged, "a symbolic link without a target")
            }
            return LinkTarget(posix: try read(content, count: size))
        }
        guard let link = file.meta.pointee.link else { throw Failure(.damaged, "a symbolic link without a target") }
        return LinkTarget(posix: bytesOf(link))
    }

    func checkContent(of file: TSKFile) throws {
        guard let inode = storedInode(of: file) else { return }
        guard try inode.load(UInt32.self, at: 0x20, .little) & Self.encryptedFlag == 0 else {
            throw Failure(.unsupported, "inode \(file.meta.pointee.addr) is encrypted (fscrypt)")
        }
    }
}
