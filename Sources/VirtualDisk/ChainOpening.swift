internal import BlockDevice
internal import ControlLanguage
internal import ISOFormat
internal import Platform
internal import SystemPackage

/// Opens an image and all its parents: found, identified, locked, and never guessed.
struct ChainOpening {
    /// More layers than this are refused (formats.md §0.2).
    static let depthLimit = 256

    let files: ImageOpening
    let claims: ImageClaims
    /// The name under which claims are made.
    let holder: String
    let isReadOnly: Bool

    private var words: AttachWords { files.words }
    /// A device is an image only when the request says what kind of one.
    private var allowsDevice: Bool { words.type != .automatic }

    /// Opens the disk whose leaf is the file at `path`. Nothing is changed in any file.
    func open(_ path: FilePath) throws(AttachError) -> OpenedDisk {
        let leaf = try openLeaf(path)
        try claims.claim(leaf.status.identity, as: .disk(isReadOnly: isReadOnly), for: holder, path: leaf.path.string)
        try files.checkHostFlags(leaf)
        var warnings: [String] = []
        let lock = try lock(leaf, exclusive: !isReadOnly, &warnings)
        switch try ImageKind.of(leaf.file, type: words.type) {
        case .vhd: return try openChain(leaf, .vhd, lock, warnings)
        case .vhdx: return try openChain(leaf, .vhdx, lock, warnings + changeTracking(of: leaf))
        case .vhdSet:
            throw VHDSet.refusal(of: leaf.path, names: files.names(in: leaf.path.removingLastComponent()) ?? [])
        case .iso: return try openISO(leaf, lock, warnings)
        case .raw: return try openRaw(leaf, lock, warnings)
        }
    }

    /// An ISO image that may not be written gets the answer that helps, whatever its file's permissions say.
    private func openLeaf(_ path: FilePath) throws(AttachError) -> OpenImage {
        do {
            return try files.open(path, writing: !isReadOnly, allowBlockDevice: allowsDevice)
        } catch {
            guard !isReadOnly, [.accessDenied, .writeProtect].contains(error.error),
                let image = try? files.open(path, writing: false, allowBlockDevice: allowsDevice),
                let kind = try? ImageKind.of(image.file, type: words.type), kind == .iso
            else { throw error }
            throw Self.isoIsReadOnly(path)
        }
    }

    private static func isoIsReadOnly(_ path: FilePath) -> AttachError {
        AttachError(.writeProtect, "an ISO image can only be attached with readonly", path: path.string)
    }

    // MARK: Locks

    func lock(
        _ image: OpenImage,
        exclusive: Bool,
        _ warnings: inout [String]
    ) throws(AttachError) -> FileLock? {
        guard !words.omitsLock else {
            warnings.append("\(image.path): not locked, as no-lock asks; nothing keeps other programs from changing it")
            return nil
        }
        do {
            return try FileLock.acquire(exclusive ? .exclusive : .shared, on: image.descriptor)
        } catch .busy(let holders) {
            let text = holders.isEmpty ? "" : ": " + holders.map(\.text).joined(separator: ", ")
            throw AttachError(
                .sharingViolation,
                "another program uses this file" + (exclusive ? "" : " for writing") + text,
                path: image.path.string
            )
        } catch .unsupported {
            guard !exclusive else {
                throw AttachError(
                    .fileSystemLimitation,
                    "the file system it is on has no locks, so nobody could be kept from writing too; "
                        + "attach it readonly, or with no-lock if you are sure",
                    path: image.path.string
                )
            }
            warnings.append(
                "\(image.path): the file system it is on has no locks; nothing keeps others from changing it"
            )
            return nil
        } catch {
            throw AttachError(.vhdMetadataReadFailure, "locking it: \(error)", path: image.path.string)
        }
    }

    // MARK: Formats

    private func openISO(_ leaf: OpenImage, _ lock: FileLock?, _ warnings: [String]) throws(AttachError) -> OpenedDisk {
        guard isReadOnly else { throw Self.isoIsReadOnly(leaf.path) }
        return try translating { () throws(DiskError) in
            let facts = try ISOImage.recognize(leaf.file)
            return OpenedDisk(
                chain: Chain(leaf: try ISOImage.layer(leaf.file), isReadOnly: true),
                kind: .iso,
                identifier: facts?.identifier,
                subtype: facts?.subtype ?? "",
                blockSize: 0,
                logicalSectorSize: ISOImage.sectorSize,
                physicalSectorSize: ISOImage.sectorSize,
                leaf: leaf,
                links: [.init(path: leaf.path, origin: "request")],
                locks: [lock].compactMap(\.self),
                warnings: warnings + (facts?.warnings ?? []),
                writeGate: WriteGate()
            )
        }
    }

    private func openRaw(_ leaf: OpenImage, _ lock: FileLock?, _ warnings: [String]) throws(AttachError) -> OpenedDisk {
        try translating { () throws(DiskError) in
            let size = try leaf.file.size()
            return OpenedDisk(
                chain: Chain(leaf: FlatImage(leaf.file, size: size, storedBytes: size), isReadOnly: isReadOnly),
                kind: .raw,
                identifier: nil,
                subtype: "raw",
                blockSize: 0,
                logicalSectorSize: 512,
                physicalSectorSize: 512,
                leaf: leaf,
                links: [.init(path: leaf.path, origin: "request")],
                locks: [lock].compactMap(\.self),
                warnings: warnings,
                writeGate: WriteGate()
            )
        }
    }

    private func openChain(
        _ leaf: OpenImage,
        _ kind: ImageKind,
        _ lock: FileLock?,
        _ warnings: [String]
    ) throws(AttachError) -> OpenedDisk {
        let family: ImageFamily = kind == .vhdx ? .vhdx : .vhd
        let layer = try translating { () throws(DiskError) in
            try family.open(leaf.file, isWritable: !isReadOnly)
        }
        var parents = ParentChain(self, child: leaf, layer, lock, warnings)
        try parents.follow()
        return OpenedDisk(
            chain: Chain(leaf: layer.layer, parents: parents.layers, isReadOnly: isReadOnly),
            kind: kind,
            identifier: layer.identifier,
            subtype: layer.subtype,
            blockSize: layer.blockSize,
            logicalSectorSize: layer.logicalSectorSize,
            physicalSectorSize: layer.physicalSectorSize,
            leaf: leaf,
            links: parents.links,
            locks: parents.locks,
            warnings: parents.warnings,
            writeGate: writeGate(leaf, layer)
        )
    }

    private func writeGate(_ leaf: OpenImage, _ layer: OpenLayer) -> WriteGate {
        guard !isReadOnly, !words.breaksChildren else { return WriteGate() }
        let search = ChildSearch(files, leaf, layer)
        return WriteGate { search.harm($0) }
    }

    /// Hyper-V keeps record of changes beside the image, for backups; it will find that it was left out.
    private func changeTracking(of leaf: OpenImage) -> [String] {
        guard !isReadOnly else { return [] }
        return ["rct", "mrt"].compactMap { suffix in
            let path = FilePath(bytes: leaf.path.bytes + ".\(suffix)".utf8)
            guard (try? files.open(path, writing: false)) != nil else { return nil }
            return
                "\(path): Hyper-V tracks changes of this image in it; it will find the image changed offline, and make its next "
                + "backup a full one"
        }
    }

    /// Opens a file that may turn out to be a parent. `accept` is asked before a lock is taken, and again under it.
    func openParent(
        _ path: FilePath,
        _ family: ImageFamily,
        _ warnings: inout [String],
        accept: (OpenImage, OpenLayer) throws(AttachError) -> Bool
    ) throws(AttachError) -> (OpenImage, OpenLayer, FileLock?)? {
        let image = try files.open(path, writing: false)
        let layer = try translating { () throws(DiskError) in try family.open(image.file) }
        guard try accept(image, layer) else { return nil }
        try claims.claim(image.status.identity, as: .parent, for: holder, path: image.path.string)
        try files.checkHostFlags(image)
        let lock = try lock(image, exclusive: false, &warnings)
        // What was read before the lock may be old: its tables are read again, and it must still be the same disk.
        let locked = try translating { () throws(DiskError) in try family.open(image.file) }
        guard try accept(image, locked) else {
            throw AttachError(
                .sharingViolation,
                "it was changed while it was being opened as a parent; attach again",
                path: image.path.string
            )
        }
        return (image, locked, lock)
    }

    private func translating<R>(_ body: () throws(DiskError) -> R) throws(AttachError) -> R {
        do {
            return try body()
        } catch {
            throw AttachError(error)
        }
    }
}
