internal import BlockDevice
internal import ControlLanguage
internal import ISOFormat
internal import Platform
internal import SystemPackage
internal import VHDFormat

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

    /// Opens the disk whose leaf is the file at `path`. Nothing is changed in any file.
    func open(_ path: FilePath) throws(AttachError) -> OpenedDisk {
        let leaf = try openLeaf(path)
        try claims.claim(leaf.status.identity, as: .disk(isReadOnly: isReadOnly), for: holder, path: leaf.path.string)
        try files.checkHostFlags(leaf)
        var warnings: [String] = []
        let lock = try lock(leaf, exclusive: !isReadOnly, &warnings)
        switch try ImageKind.of(leaf.file, type: words.type) {
        case .vhd: return try openVHD(leaf, lock, warnings)
        case .iso: return try openISO(leaf, lock, warnings)
        case .raw: return try openRaw(leaf, lock, warnings)
        }
    }

    /// An ISO image that may not be written gets the answer that helps, whatever its file's permissions say.
    private func openLeaf(_ path: FilePath) throws(AttachError) -> OpenImage {
        do {
            return try files.open(path, writing: !isReadOnly)
        } catch {
            guard !isReadOnly, [.accessDenied, .writeProtect].contains(error.error),
                let image = try? files.open(path, writing: false),
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
                subtype: facts?.subtype ?? "",
                blockSize: 0,
                logicalSectorSize: ISOImage.sectorSize,
                leaf: leaf,
                links: [.init(path: leaf.path, identifier: facts?.identifier, origin: "request")],
                locks: [lock].compactMap(\.self),
                warnings: warnings + (facts?.warnings ?? [])
            )
        }
    }

    private func openRaw(_ leaf: OpenImage, _ lock: FileLock?, _ warnings: [String]) throws(AttachError) -> OpenedDisk {
        try translating { () throws(DiskError) in
            let size = try leaf.file.size()
            return OpenedDisk(
                chain: Chain(leaf: FlatImage(leaf.file, size: size, storedBytes: size), isReadOnly: isReadOnly),
                kind: .raw,
                subtype: "raw",
                blockSize: 0,
                logicalSectorSize: 512,
                leaf: leaf,
                links: [.init(path: leaf.path, identifier: nil, origin: "request")],
                locks: [lock].compactMap(\.self),
                warnings: warnings
            )
        }
    }

    private func openVHD(_ leaf: OpenImage, _ lock: FileLock?, _ warnings: [String]) throws(AttachError) -> OpenedDisk {
        let layer = try translating { () throws(DiskError) in
            try VHDImage.open(leaf.file, options: VHDOpenOptions(writable: !isReadOnly))
        }
        var parents = ParentChain(self, child: leaf, layer, lock, warnings)
        try parents.follow()
        return OpenedDisk(
            chain: Chain(leaf: layer, parents: parents.layers, isReadOnly: isReadOnly),
            kind: .vhd,
            subtype: "\(layer.facts.footer.diskType)",
            blockSize: layer.facts.blockSize,
            logicalSectorSize: 512,
            leaf: leaf,
            links: parents.links,
            locks: parents.locks,
            warnings: parents.warnings
        )
    }

    /// Opens a file that may turn out to be a parent. `accept` is asked before a lock is taken, and again under it.
    func openParent(
        _ path: FilePath,
        _ warnings: inout [String],
        accept: (OpenImage, any VHDLayer) throws(AttachError) -> Bool
    ) throws(AttachError) -> (OpenImage, any VHDLayer, FileLock?)? {
        let image = try files.open(path, writing: false)
        let layer = try translating { () throws(DiskError) in try VHDImage.open(image.file) }
        guard try accept(image, layer) else { return nil }
        try claims.claim(image.status.identity, as: .parent, for: holder, path: image.path.string)
        try files.checkHostFlags(image)
        let lock = try lock(image, exclusive: false, &warnings)
        // What was read before the lock may be old: its tables are read again, and it must still be the same disk.
        let locked = try translating { () throws(DiskError) in try VHDImage.open(image.file) }
        guard try accept(image, locked) else { return nil }
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
