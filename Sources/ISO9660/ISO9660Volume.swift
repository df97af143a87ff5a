public import BlockDevice
internal import ByteIO
internal import FileSystem
internal import Platform
public import Volumes

/// The files of an ISO 9660 image (ECMA-119): with the names and attributes of Rock Ridge where the primary tree has them, else with those of
/// Joliet, else with the plain ones (as they stand, without version and the dot before it).
///
/// A file's identity is twice the place of its record in bytes; a folder's is twice its first block, plus one. So a folder that is
/// reached on two ways is one folder, and hard links are one file where Rock Ridge tells.
public final class ISO9660Volume: VolumeReader {
    let device: any BlockDevice
    let blockSize: Int
    private let blocks: UInt32
    private let rootBlock: UInt32
    let flavor: Flavor
    /// Hard links by what tells them, and the record that stands for all of them.
    private let links = Locked<[LinkKey: UInt64]>([:])

    /// Two names that agree in all of it are one file.
    private struct LinkKey: Hashable {
        var serial: UInt32?
        var block: UInt32?
        var size: UInt64
    }

    /// Whose names are shown.
    enum Flavor: Equatable {
        /// So many bytes of each system use area are not for Rock Ridge.
        case rockRidge(skip: Int)
        case joliet
        case plain
    }

    static let sectorSize = VolumeDescriptors.sectorSize
    /// A directory that is longer is none.
    private static let directoryLimit: UInt32 = 512 << 20
    /// How many bytes of continuation areas are read for one folder.
    static let continuationBudget = 256 << 20
    private static let linkLimit = 1 << 20

    /// Opens a volume.
    public init(_ device: any BlockDevice) throws(VolumeError) {
        self.device = device
        let descriptors = try VolumeDescriptors(device)
        let skip = try Self.rockRidgeSkip(device, descriptors.primary)
        let tree = skip == nil ? descriptors.joliet ?? descriptors.primary : descriptors.primary
        flavor = skip.map { .rockRidge(skip: $0) } ?? (descriptors.joliet == nil ? .plain : .joliet)
        blockSize = tree.blockSize
        blocks = tree.blocks
        guard let root = try? DirectoryRecord(tree.root, at: 0, sectorEnd: tree.root.count) else {
            throw VolumeError(.damaged, "the record of the root directory in the volume descriptor is no record")
        }
        rootBlock = root.block
    }

    /// How many bytes to skip in system use areas, if the root directory's own record says that SUSP is used (SP), or has its fields.
    private static func rockRidgeSkip(
        _ device: any BlockDevice,
        _ tree: VolumeDescriptors.Tree
    ) throws(VolumeError) -> Int? {
        guard let root = try? DirectoryRecord(tree.root, at: 0, sectorEnd: tree.root.count),
            let sector = try? device.readBytes(at: UInt64(root.block) * UInt64(tree.blockSize), count: sectorSize),
            let own = try? DirectoryRecord(sector, at: 0, sectorEnd: sector.count)
        else { return nil }
        let area = Array(sector[own.systemUse])
        if area.count >= 7, area.starts(with: "SP".utf8), area[4] == 0xBE, area[5] == 0xEF { return Int(area[6]) }
        return area.starts(with: "RR".utf8) || area.starts(with: "PX".utf8) ? 0 : nil
    }

    public var root: FileID { Self.id(ofDirectoryAt: rootBlock) }

    public var statistics: VolumeStatistics {
        VolumeStatistics(blockSize: UInt32(blockSize), blocks: UInt64(blocks))
    }

    /// Whether the tree is only there to say that the content is elsewhere: a few small files and no folders.
    public var isStub: Bool {
        guard let folder = try? folder(root) else { return true }
        return folder.entries.count <= 2
            && folder.entries.allSatisfy { $0.kind == .regular && $0.attributes?.size ?? 0 < 65536 }
    }

    // MARK: Identities

    static func id(ofDirectoryAt block: UInt32) -> FileID { FileID(rawValue: UInt64(block) << 1 | 1) }

    private static func id(ofRecordAt position: UInt64) -> FileID { FileID(rawValue: position << 1) }

    private func block(of id: FileID) -> UInt32? {
        id.rawValue & 1 == 1 ? UInt32(exactly: id.rawValue >> 1) : nil
    }

    func read(_ offset: UInt64, _ count: Int) throws(VolumeError) -> [UInt8] {
        do {
            return try device.readBytes(at: offset, count: count)
        } catch {
            throw VolumeError(error)
        }
    }

    /// The bytes of a record, and of what may follow it: a file of several extents has a record for each.
    private func recordBytes(_ position: UInt64) throws(VolumeError) -> (bytes: [UInt8], start: Int) {
        let sector = position / UInt64(Self.sectorSize) * UInt64(Self.sectorSize)
        return (try read(sector, 2 * Self.sectorSize), Int(position - sector))
    }

    // MARK: Files

    /// A file or folder as its records tell.
    struct Item {
        var record: DirectoryRecord
        var fields = RockRidge()
        var extents: [Extent] = []
        var size: UInt64 = 0
        var time: Timestamp
    }

    /// A piece of a file's content.
    struct Extent {
        var block: UInt32
        var count: UInt32
        var isInterleaved: Bool
    }

    /// Reads what a record tells.
    ///
    /// - Parameter budget: bytes that continuation areas may still have.
    func item(_ record: DirectoryRecord, in buffer: [UInt8], budget: inout Int) throws(VolumeError) -> Item {
        var item = Item(record: record, time: record.time(in: buffer))
        if case .rockRidge(let skip) = flavor {
            item.fields = try fields(record, buffer, skip: skip, budget: &budget)
        }
        item.add(record)
        return item
    }

    private func item(_ record: DirectoryRecord, in buffer: [UInt8]) throws(VolumeError) -> Item {
        var budget = Self.continuationBudget
        return try item(record, in: buffer, budget: &budget)
    }

    /// All fields of Rock Ridge, with those in continuation areas.
    private func fields(
        _ record: DirectoryRecord,
        _ buffer: [UInt8],
        skip: Int,
        budget: inout Int
    ) throws(VolumeError) -> RockRidge {
        var fields = RockRidge()
        let isRootsOwn = record.isSpecial(0, in: buffer) && record.block == rootBlock
        let start = min(record.systemUse.lowerBound + (isRootsOwn ? 0 : skip), record.systemUse.upperBound)
        do {
            var next = try fields.read(buffer, start..<record.systemUse.upperBound)
            var visited: Set<RockRidge.Continuation> = []
            while let area = next {
                guard visited.insert(area).inserted, visited.count <= RockRidge.continuationLimit,
                    area.count <= RockRidge.continuationSize
                else { throw VolumeError(.damaged, "the system use fields of a record go round in a circle") }
                let place = UInt64(area.block) * UInt64(blockSize) + UInt64(area.offset)
                let bytes = try read(place, Int(area.count))
                budget -= bytes.count
                guard bytes.count == Int(area.count) else {
                    throw VolumeError(.damaged, "a continuation area at \(place) lies past the end of the volume")
                }
                guard budget >= 0 else { throw VolumeError(.limit, "a folder has too many continuation areas") }
                next = try fields.read(bytes, 0..<bytes.count)
            }
            guard fields.isComplete else {
                throw VolumeError(.damaged, "a name or a symbolic link goes on in a field that is not there")
            }
        } catch let error as VolumeError {
            throw error
        } catch {
            throw VolumeError(.damaged, "a system use field at \(record.start) of a directory is shorter than it says")
        }
        return fields
    }

    /// Looks a file up by the place of its record.
    private func item(at position: UInt64) throws(VolumeError) -> Item {
        let (bytes, start) = try recordBytes(position)
        let end = (start / Self.sectorSize + 1) * Self.sectorSize
        guard let first = try? DirectoryRecord(bytes, at: start, sectorEnd: end), !first.isDirectory else {
            throw VolumeError(.damaged, "there is no record of a file at \(position)")
        }
        var item = try item(first, in: bytes)
        guard first.continues else { return item }
        // The others may go on through many sectors. All have the same name.
        let name = bytes[first.name]
        var walk = RecordWalk(volume: self, offset: position, end: min(position + (1 << 20), device.size))
        _ = try walk.next()
        while let (record, buffer, _) = try walk.next(), !record.isDirectory, buffer[record.name].elementsEqual(name) {
            item.add(record)
            if !record.continues { return item }
        }
        throw VolumeError(.damaged, "the file at \(position) goes on in a record that is not there")
    }

    public func attributes(of file: FileID) throws(VolumeError) -> FileAttributes {
        guard let block = block(of: file) else { return try item(at: file.rawValue >> 1).attributes(isFolder: false) }
        let (record, bytes) = try ownRecord(block)
        return try item(record, in: bytes).attributes(isFolder: true)
    }

    /// The record that a directory begins with: its own.
    private func ownRecord(_ block: UInt32) throws(VolumeError) -> (DirectoryRecord, [UInt8]) {
        let bytes = try read(UInt64(block) * UInt64(blockSize), 2 * Self.sectorSize)
        guard let record = try? DirectoryRecord(bytes, at: 0, sectorEnd: Self.sectorSize), record.isDirectory,
            record.isSpecial(0, in: bytes), record.dataLength <= Self.directoryLimit
        else { throw VolumeError(.damaged, "there is no directory in block \(block)") }
        return (record, bytes)
    }

    // MARK: Folders

    public func folder(_ directory: FileID) throws(VolumeError) -> Folder {
        guard let block = block(of: directory) else {
            throw VolumeError(.damaged, "what lies at \(directory.rawValue) is no directory")
        }
        let (own, _) = try ownRecord(block)
        let start = UInt64(block) * UInt64(blockSize)
        var walk = RecordWalk(volume: self, offset: start, end: start + UInt64(own.dataLength))
        var folder = Folder(parent: nil)
        var budget = Self.continuationBudget
        var pending: Pending?
        while let (record, buffer, position) = try walk.next() {
            if record.isSpecial(0, in: buffer) { continue }
            if record.isSpecial(1, in: buffer) {
                let moved = (try? item(record, in: buffer, budget: &budget))?.fields.parentBlock
                folder.parent = block == rootBlock ? nil : Self.id(ofDirectoryAt: moved ?? record.block)
                continue
            }
            if record.isAssociated { continue }
            let name = Array(buffer[record.name])
            if pending?.stored == name, !record.isDirectory {
                pending?.item?.add(record)
            } else {
                try add(pending, to: &folder, isRoot: block == rootBlock)
                pending = Pending(
                    stored: name,
                    plain: self.name(record, in: buffer),
                    record: record,
                    position: position
                )
                pending?.item = try unlessDamaged { () throws(VolumeError) in
                    try item(record, in: buffer, budget: &budget)
                }
            }
            if record.continues, !record.isDirectory { continue }
            try add(pending, to: &folder, isRoot: block == rootBlock)
            pending = nil
        }
        try add(pending, to: &folder, isRoot: block == rootBlock)
        return folder
    }

    /// A file whose records are being gathered.
    private struct Pending {
        /// The name as it stands in the record.
        var stored: [UInt8]
        var plain: [UInt8]
        var record: DirectoryRecord
        var position: UInt64
        /// nil if the record is damaged.
        var item: Item?
    }

    private func unlessDamaged<R>(_ body: () throws(VolumeError) -> R) throws(VolumeError) -> R? {
        do throws(VolumeError) {
            return try body()
        } catch {
            if error.kind == .damaged { return nil }
            throw error
        }
    }

    /// Adds a file to its folder. One damaged record costs that file: it has a name, and each look at it says what is wrong.
    private func add(_ pending: Pending?, to folder: inout Folder, isRoot: Bool) throws(VolumeError) {
        guard let pending else { return }
        if let item = pending.item {
            let name = item.fields.name ?? pending.plain
            return try add(item, at: pending.position, name: name, to: &folder, isRoot: isRoot)
        }
        let isFolder = pending.record.isDirectory
        let id = isFolder ? Self.id(ofDirectoryAt: pending.record.block) : Self.id(ofRecordAt: pending.position)
        try folder.append(name: pending.plain, file: id, kind: isFolder ? .directory : .regular)
    }

    private func add(
        _ item: Item,
        at position: UInt64,
        name: [UInt8],
        to folder: inout Folder,
        isRoot: Bool
    ) throws(VolumeError) {
        if item.fields.isRelocated { return }
        if let child = item.fields.childBlock {
            return try folder.append(name: name, file: Self.id(ofDirectoryAt: child), kind: .directory)
        }
        if item.record.isDirectory {
            if isRoot, item.fields.isPresent, isMovedFolder(name, item.record.block) { return }
            let attributes = item.attributes(isFolder: true)
            let id = Self.id(ofDirectoryAt: item.record.block)
            return try folder.append(name: name, file: id, kind: .directory, attributes: attributes)
        }
        let attributes = item.attributes(isFolder: false)
        let id = identity(item, at: position)
        try folder.append(name: name, file: id, kind: attributes.kind, attributes: attributes)
    }

    /// Whether a folder of the root only holds directories that were moved there because they lay too deep.
    private func isMovedFolder(_ name: [UInt8], _ block: UInt32) -> Bool {
        guard name.elementsEqual("rr_moved".utf8) || name.elementsEqual(".rr_moved".utf8) else { return false }
        return (try? folder(Self.id(ofDirectoryAt: block)))?.entries.isEmpty ?? false
    }

    /// The record that stands for a file: for hard links the first one that was seen.
    private func identity(_ item: Item, at position: UInt64) -> FileID {
        let block = item.size > 0 ? item.extents.first?.block : nil
        let key = LinkKey(serial: item.fields.serial, block: block, size: item.size)
        guard item.fields.links > 1, key.serial != nil || key.block != nil else { return Self.id(ofRecordAt: position) }
        return links.withLock { links in
            if let known = links[key] { return Self.id(ofRecordAt: known) }
            if links.count < Self.linkLimit { links[key] = position }
            return Self.id(ofRecordAt: position)
        }
    }

    /// The name of a record without Rock Ridge.
    private func name(_ record: DirectoryRecord, in buffer: [UInt8]) -> [UInt8] {
        let stored = buffer[record.name]
        if flavor == .joliet {
            var units = stride(from: stored.startIndex, to: stored.endIndex - 1, by: 2).map {
                UInt16(stored[$0]) << 8 | UInt16(stored[$0 + 1])
            }
            if let semicolon = units.lastIndex(of: 0x3B) { units.removeSubrange(semicolon...) }
            return Array(String(decoding: units, as: UTF16.self).utf8)
        }
        var name = stored
        if !record.isDirectory, let semicolon = name.lastIndex(of: UInt8(ascii: ";")) { name = name[..<semicolon] }
        if !record.isDirectory, name.count > 1, name.last == UInt8(ascii: ".") { name = name.dropLast() }
        return Array(name)
    }

    // MARK: Content

    public func linkTarget(of link: FileID) throws(VolumeError) -> LinkTarget {
        guard block(of: link) == nil, let target = try item(at: link.rawValue >> 1).fields.target else {
            throw VolumeError(.damaged, "there is no symbolic link at \(link.rawValue)")
        }
        return LinkTarget(posix: target)
    }

    public func open(_ file: FileID) throws(VolumeError) -> any VolumeFile {
        guard block(of: file) == nil else { throw VolumeError(.damaged, "a directory has no content") }
        let item = try item(at: file.rawValue >> 1)
        if let packing = item.fields.packing {
            throw VolumeError(
                .unsupported,
                "the file at \(file.rawValue) is stored \(packing); mount the image with the kernel"
            )
        }
        guard !item.extents.contains(where: \.isInterleaved) else {
            throw VolumeError(.unsupported, "the file at \(file.rawValue) is interleaved")
        }
        return ISO9660File(item.extents, generation: item.generation, device: device, blockSize: blockSize)
    }
}

extension ISO9660Volume.Item {
    /// Takes the piece of a record.
    mutating func add(_ record: DirectoryRecord) {
        extents.append(
            ISO9660Volume.Extent(
                block: record.block,
                count: record.dataLength,
                isInterleaved: record.isInterleaved
            )
        )
        size += UInt64(record.dataLength)
    }

    /// Where its content begins: files of ISO 9660 do not grow.
    var generation: UInt64 { UInt64(extents.first?.block ?? 0) }

    func attributes(isFolder: Bool) -> FileAttributes {
        let kind = isFolder ? .directory : fields.mode.flatMap { NodeKind(mode: $0) } ?? .regular
        let sector = UInt64(ISO9660Volume.sectorSize)
        return FileAttributes(
            kind: kind,
            size: kind == .symbolicLink ? UInt64(fields.target?.count ?? 0) : fields.packedSize ?? size,
            allocatedBytes: extents.reduce(0) { $0 + (UInt64($1.count) + sector - 1) / sector * sector },
            linkCount: max(1, fields.links),
            permissions: fields.mode.map { UInt16(truncatingIfNeeded: $0 & 0o7777) },
            owner: fields.mode == nil ? nil : fields.owner,
            group: fields.mode == nil ? nil : fields.group,
            modified: fields.modified ?? time,
            accessed: fields.accessed,
            changed: fields.changed,
            device: fields.device,
            generation: generation
        )
    }
}

extension NodeKind {
    /// The kind in a mode of POSIX.
    fileprivate init?(mode: UInt32) {
        switch mode & 0o170000 {
        case 0o010000: self = .fifo
        case 0o020000: self = .characterDevice
        case 0o060000: self = .blockDevice
        case 0o100000: self = .regular
        case 0o120000: self = .symbolicLink
        case 0o140000: self = .socket
        default: return nil
        }
    }
}
