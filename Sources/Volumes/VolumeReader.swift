public import BlockDevice
public import Platform

/// The files of one volume, read-only.
///
/// Calls may come from many threads at once. A `FileID` is one that this reader has given out, or any number: the kernel may ask for a file
/// that an earlier reader of the same volume knew.
public protocol VolumeReader: AnyObject, Sendable {
    /// What `statfs` tells.
    var statistics: VolumeStatistics { get }

    /// The top folder.
    var root: FileID { get }

    /// What the volume tells about a file or folder.
    func attributes(of file: FileID) throws(VolumeError) -> FileAttributes

    /// All names of a folder; `.damaged` when it can't be read whole.
    func folder(_ directory: FileID) throws(VolumeError) -> Folder

    /// The target of a symbolic link (or of a junction) as the volume stores it, with slashes.
    func linkTarget(of link: FileID) throws(VolumeError) -> LinkTarget

    /// The content of a regular file.
    func open(_ file: FileID) throws(VolumeError) -> any VolumeFile

    /// Further content that a file or folder has (alternate data streams), as extended attributes.
    func extendedAttributes(of file: FileID) throws(VolumeError) -> [ExtendedAttribute]

    /// The value of one of them.
    func value(of attribute: ExtendedAttribute, of file: FileID) throws(VolumeError) -> [UInt8]

    /// Nobody will ask any more: gives up processes and caches. Calls that are running may fail.
    func close()
}

extension VolumeReader {
    /// None.
    public func extendedAttributes(of file: FileID) throws(VolumeError) -> [ExtendedAttribute] { [] }

    /// There is none.
    public func value(of attribute: ExtendedAttribute, of file: FileID) throws(VolumeError) -> [UInt8] { [] }

    /// Nothing to give up.
    public func close() {}
}

/// The content of a file of a volume. Calls may come from many threads at once.
public protocol VolumeFile: AnyObject, Sendable {
    /// The size in bytes.
    var size: UInt64 { get }

    /// As `FileAttributes` has it.
    var generation: UInt64 { get }

    /// Fills the whole buffer with the bytes from `offset` on, or throws: never zeros or fewer bytes for what can't be read.
    ///
    /// The caller asks for ranges inside the file only.
    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(VolumeError)

    /// Whether data is stored at `offset`, and up to where (at most `limit`). The caller asks for `offset < limit <= size` only.
    func allocation(at offset: UInt64, limit: UInt64) throws(VolumeError) -> HostAllocation

    /// Where on the host a range inside the file stands, if that is in few pieces and in memory; nil where it must be read.
    func hostBytes(of range: Range<UInt64>) throws(VolumeError) -> HostBytes?
}

extension VolumeFile {
    /// What is not known to stand on the host must be read.
    public func hostBytes(of range: Range<UInt64>) throws(VolumeError) -> HostBytes? { nil }
}

/// A file whose bytes stand in runs on the volume's device.
public protocol FileInRuns: VolumeFile {
    /// The device.
    var device: any BlockDevice { get }

    /// Where on the device the bytes from `offset` on stand, which is inside the file; nil where they stand nowhere as they are.
    func run(at offset: UInt64) -> VolumeRun?
}

/// A run of a file's bytes on its device.
public struct VolumeRun: Sendable, Hashable {
    /// The first byte's offset on the device; nil for a hole.
    public var offset: UInt64?
    /// How many bytes there are.
    public var count: UInt64

    /// Makes a run.
    public init(offset: UInt64?, count: UInt64) {
        self.offset = offset
        self.count = count
    }
}

extension FileInRuns {
    public func hostBytes(of range: Range<UInt64>) throws(VolumeError) -> HostBytes? {
        var bytes = HostBytes()
        var position = range.lowerBound
        while position < range.upperBound {
            guard let run = run(at: position), run.count > 0 else { return nil }
            let count = min(run.count, range.upperBound - position)
            do throws(DiskError) {
                if let offset = run.offset {
                    let (end, overflow) = offset.addingReportingOverflow(count)
                    guard !overflow, let part = try device.hostBytes(of: offset..<end), bytes.append(part) else {
                        return nil
                    }
                } else if !bytes.append(HostBytes.Piece(descriptor: nil, offset: 0, count: Int(count))) {
                    return nil
                }
            } catch {
                throw VolumeError(error)
            }
            position += count
        }
        return bytes
    }
}

/// Where a symbolic link points.
public struct LinkTarget: Sendable, Hashable {
    /// What the path begins from.
    public enum Base: Sendable, Hashable {
        /// The folder that the link lies in.
        case folder
        /// The root of the volume.
        case root
        /// Somewhere that is not in this volume: the path is text that leads nowhere.
        case elsewhere
    }

    /// What the path begins from.
    public var base: Base
    /// The path without a slash at its beginning; components are separated by single slashes.
    public var path: [UInt8]

    /// Makes a target.
    public init(base: Base, path: [UInt8]) {
        self.base = base
        self.path = path
    }

    /// A target as POSIX file systems store it.
    public init(posix target: some Collection<UInt8>) {
        let slash = UInt8(ascii: "/")
        let isAbsolute = target.first == slash
        self.init(base: isAbsolute ? .root : .folder, path: Array(target.drop { $0 == slash }))
    }
}

/// Further content of a file, shown as an extended attribute.
public struct ExtendedAttribute: Sendable, Hashable {
    /// The name, with the namespace: `user.ads.Zone.Identifier`.
    public var name: [UInt8]
    /// The size of the value in bytes.
    public var size: UInt64

    /// Makes an attribute.
    public init(name: [UInt8], size: UInt64) {
        self.name = name
        self.size = size
    }
}

/// The size of a volume, as `statfs` tells it.
public struct VolumeStatistics: Sendable, Hashable {
    /// Bytes of a block.
    public var blockSize: UInt32
    /// Blocks in all.
    public var blocks: UInt64
    /// Blocks that nothing uses; 0 where that is not known without a long look.
    public var freeBlocks: UInt64
    /// Files and folders in all; 0 where that is not known.
    public var files: UInt64

    /// Makes the statistics.
    public init(blockSize: UInt32, blocks: UInt64, freeBlocks: UInt64 = 0, files: UInt64 = 0) {
        self.blockSize = blockSize
        self.blocks = blocks
        self.freeBlocks = freeBlocks
        self.files = files
    }
}
