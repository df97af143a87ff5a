public import BlockDevice
internal import ByteIO
internal import FileSystem
internal import Platform
public import Volumes

/// The files of a UDF volume (ECMA-167, OSTA UDF 1.02 to 2.60).
///
/// A file's identity is the place of its file entry: 10 bits of partition, 32 bits of block.
public final class UDFVolume: VolumeReader {
    let device: any BlockDevice
    let blockSize: UInt64
    private let partitions: Partitions
    private let rootAddress: BlockAddress
    /// The part of the device that was read last for a file entry: they lie together.
    private let window = Locked<(start: UInt64, bytes: [UInt8])>((0, []))

    private static let windowSize: UInt64 = 64 << 10
    /// A directory that is longer is none.
    private static let directoryLimit: UInt64 = 128 << 20

    /// Opens a volume.
    public init(_ device: any BlockDevice) throws(VolumeError) {
        self.device = device
        let structure = try VolumeStructure(device)
        blockSize = structure.blockSize
        partitions = structure.partitions
        rootAddress = structure.root
    }

    public var root: FileID { Self.id(of: rootAddress) }

    public var statistics: VolumeStatistics {
        var blocks: UInt64 = 0
        for case .physical(_, let length) in partitions.maps { blocks += UInt64(length) }
        for case .sparable(_, let length, _, _) in partitions.maps { blocks += UInt64(length) }
        return VolumeStatistics(blockSize: UInt32(blockSize), blocks: blocks)
    }

    // MARK: Entries

    private static func id(of address: BlockAddress) -> FileID {
        FileID(rawValue: UInt64(address.partition) << 32 | UInt64(address.block))
    }

    private func address(_ id: FileID) throws(VolumeError) -> BlockAddress {
        guard let partition = UInt16(exactly: id.rawValue >> 32) else {
            throw VolumeError(.damaged, "there is no file \(id.rawValue)")
        }
        return BlockAddress(partition: partition, block: UInt32(truncatingIfNeeded: id.rawValue))
    }

    private func entry(_ address: BlockAddress) throws(VolumeError) -> FileEntry {
        let piece = try partitions.locate(address, count: 1)
        return try FileEntry(try block(at: piece.offset), location: address.block)
    }

    /// One block, read together with its neighbours.
    private func block(at offset: UInt64) throws(VolumeError) -> [UInt8] {
        let count = Int(blockSize)
        let known = window.withLock { window -> [UInt8]? in
            guard offset >= window.start, offset - window.start + blockSize <= UInt64(window.bytes.count) else {
                return nil
            }
            let place = Int(offset - window.start)
            return Array(window.bytes[place..<place + count])
        }
        if let known { return known }
        // A bad sector nearby must not cost this one.
        if let bytes = try? device.readBytes(at: offset, count: Int(Self.windowSize)), bytes.count >= count {
            window.withLock { $0 = (offset, bytes) }
            return Array(bytes.prefix(count))
        }
        return try device.block(at: offset, size: blockSize)
    }

    public func attributes(of file: FileID) throws(VolumeError) -> FileAttributes {
        let address = try address(file)
        return try attributes(try entry(address), address)
    }

    private func attributes(_ entry: FileEntry, _ address: BlockAddress) throws(VolumeError) -> FileAttributes {
        var attributes = entry.attributes(blockSize: blockSize)
        if attributes.kind == .symbolicLink {
            let target = try SymbolicLinkPath.target(try content(entry, address, limit: 65536))
            attributes.size = UInt64(target.path.count + (target.base == .root ? 1 : 0))
        }
        return attributes
    }

    // MARK: Content

    /// Where the content of a file is.
    private func extents(_ entry: FileEntry, _ address: BlockAddress) throws(VolumeError) -> ExtentList {
        var list = ExtentList()
        if entry.allocation == .embedded {
            let piece = try partitions.locate(address, count: 1)
            try list.append(
                count: UInt64(entry.descriptors.count),
                offset: piece.offset + UInt64(entry.descriptors.lowerBound)
            )
        } else {
            let walk = AllocationWalk(
                partitions: partitions,
                read: { [self] (offset) throws(VolumeError) in
                    try block(at: offset)
                }
            )
            try walk.run(entry.descriptorBytes, entry.allocation, partition: address.partition, size: entry.size, &list)
        }
        guard list.size >= entry.size else {
            throw VolumeError(
                .damaged,
                "the file entry in block \(address.block) says \(entry.size) bytes, and its extents have \(list.size)"
            )
        }
        list.cut(to: entry.size)
        return list
    }

    private func content(_ entry: FileEntry, _ address: BlockAddress, limit: UInt64) throws(VolumeError) -> [UInt8] {
        guard entry.size <= limit else {
            throw VolumeError(.damaged, "\(entry.size) bytes in block \(address.block) are more than can be")
        }
        let file = UDFFile(try extents(entry, address), generation: entry.uniqueID, device: device)
        var bytes = [UInt8](repeating: 0, count: Int(entry.size))
        try bytes.withMutableBytes { (span) throws(VolumeError) in try file.read(into: &span, at: 0) }
        return bytes
    }

    public func open(_ file: FileID) throws(VolumeError) -> any VolumeFile {
        let address = try address(file)
        let entry = try entry(address)
        guard entry.kind == .regular else {
            throw VolumeError(.damaged, "block \(address.block) holds no regular file")
        }
        return UDFFile(try extents(entry, address), generation: entry.uniqueID, device: device)
    }

    public func linkTarget(of link: FileID) throws(VolumeError) -> LinkTarget {
        let address = try address(link)
        let entry = try entry(address)
        guard entry.kind == .symbolicLink else { throw VolumeError(.damaged, "block \(address.block) holds no link") }
        return try SymbolicLinkPath.target(try content(entry, address, limit: 65536))
    }

    // MARK: Folders

    public func folder(_ directory: FileID) throws(VolumeError) -> Folder {
        let address = try address(directory)
        let entry = try entry(address)
        guard entry.kind == .directory else { throw VolumeError(.damaged, "block \(address.block) holds no directory") }
        let bytes = try content(entry, address, limit: Self.directoryLimit)
        var folder = Folder(parent: nil)
        try FileIdentifier.forEach(in: bytes) { (identifier) throws(VolumeError) in
            if identifier.isParent {
                folder.parent = address == rootAddress ? nil : Self.id(of: identifier.address)
                return
            }
            guard !identifier.isDeleted, !identifier.isMetadata else { return }
            // What can't be read is shown all the same: then each look at it says why it can't.
            let child = try? self.entry(identifier.address)
            if let child, child.kind == nil { return }
            let known = child.flatMap { try? self.attributes($0, identifier.address) }
            try folder.append(
                name: identifier.name,
                file: Self.id(of: identifier.address),
                kind: known?.kind ?? (identifier.isDirectory ? .directory : .regular),
                attributes: known
            )
        }
        return folder
    }

    // MARK: Streams

    private static let prefix = Array("user.ads.".utf8)
    private static let valueLimit: UInt64 = 65536

    private func streams(of file: FileID) throws(VolumeError) -> [(attribute: ExtendedAttribute, address: BlockAddress)]
    {
        guard let place = try entry(try address(file)).streams else { return [] }
        let directory = try entry(place.address)
        guard directory.kind == .directory else { throw VolumeError(.damaged, "the stream directory is none") }
        let bytes = try content(directory, place.address, limit: 1 << 20)
        var found: [(attribute: ExtendedAttribute, address: BlockAddress)] = []
        try FileIdentifier.forEach(in: bytes) { (identifier) throws(VolumeError) in
            guard !identifier.isParent, !identifier.isDeleted, !identifier.isMetadata else { return }
            let name = Self.prefix + identifier.name
            guard name.count <= 255, !name.contains(0) else { return }
            let size = try entry(identifier.address).size
            found.append((ExtendedAttribute(name: name, size: size), identifier.address))
        }
        return found
    }

    public func extendedAttributes(of file: FileID) throws(VolumeError) -> [ExtendedAttribute] {
        try streams(of: file).map(\.attribute)
    }

    public func value(of attribute: ExtendedAttribute, of file: FileID) throws(VolumeError) -> [UInt8] {
        guard let stream = try streams(of: file).first(where: { $0.attribute.name == attribute.name }) else {
            return []
        }
        guard stream.attribute.size <= Self.valueLimit else {
            throw VolumeError(
                .limit,
                "a stream of \(stream.attribute.size) bytes is too long for an extended attribute of Linux"
            )
        }
        return try content(try entry(stream.address), stream.address, limit: Self.valueLimit)
    }
}
