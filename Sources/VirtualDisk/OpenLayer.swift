internal import BlockDevice
internal import ByteIO
internal import VHDFormat
internal import VHDXFormat

/// The formats whose images can stand on each other. A chain never mixes the two.
enum ImageFamily: Sendable {
    case vhd
    case vhdx

    /// Opens a file as an image of this family; changes nothing in it.
    func open(_ file: any HostFile, isWritable: Bool = false) throws(DiskError) -> OpenLayer {
        switch self {
        case .vhd: .vhd(try VHDImage.open(file, options: VHDOpenOptions(writable: isWritable)))
        case .vhdx: .vhdx(try VHDXImage.open(file, options: VHDXOpenOptions(isWritable: isWritable)))
        }
    }

    /// How a file names its parent, as far as that can be had without looking at the whole of it; nil if it has none.
    func parent(of file: any HostFile) throws(DiskError) -> ParentReference? {
        switch self {
        case .vhd: try VHDImage.parent(of: file).map(ParentReference.init)
        case .vhdx: try VHDXImage.parent(of: file).map(ParentReference.init)
        }
    }

    /// An identity as the family's own tools print it.
    func text(of identity: GUID) -> String {
        switch self {
        case .vhd: identity.description
        case .vhdx: identity.windowsText
        }
    }
}

/// One open image of a chain, of either family.
enum OpenLayer: Sendable {
    case vhd(any VHDLayer)
    case vhdx(VHDXLayer)

    var family: ImageFamily {
        switch self {
        case .vhd: .vhd
        case .vhdx: .vhdx
        }
    }

    var layer: any WritableImageLayer {
        switch self {
        case .vhd(let layer): layer
        case .vhdx(let layer): layer
        }
    }

    /// What children record of their parent. A VHD keeps it; that of a VHDX changes with the first write of a session.
    var identity: GUID {
        switch self {
        case .vhd(let layer): layer.facts.footer.uniqueID
        case .vhdx(let layer): layer.dataWriteGUID
        }
    }

    /// The same as text.
    var identityText: String { family.text(of: identity) }

    /// What stays as long as the disk is this disk, whatever is written to it.
    var identifier: String {
        switch self {
        case .vhd: identityText
        case .vhdx(let layer): family.text(of: layer.facts.virtualDiskID)
        }
    }

    /// How it names its parent.
    var parent: ParentReference? {
        switch self {
        case .vhd(let layer): layer.facts.parent.map(ParentReference.init)
        case .vhdx(let layer): layer.facts.parent.map(ParentReference.init)
        }
    }

    /// What a user should know, in words.
    var warnings: [String] {
        switch self {
        case .vhd(let layer): layer.facts.warnings
        case .vhdx(let layer): layer.facts.warnings
        }
    }
}

extension OpenLayer {
    /// `fixed`, `dynamic` or `differencing`.
    var subtype: String {
        switch self {
        case .vhd(let layer): "\(layer.facts.footer.diskType)"
        case .vhdx(let layer): "\(layer.facts.diskType)"
        }
    }

    /// Data bytes of a block; 0 where there are none.
    var blockSize: UInt64 {
        switch self {
        case .vhd(let layer): layer.facts.blockSize
        case .vhdx(let layer): layer.facts.blockSize
        }
    }

    /// 512, or 4096 for some VHDX; the same in all layers of a chain.
    var logicalSectorSize: Int {
        switch self {
        case .vhd: 512
        case .vhdx(let layer): layer.facts.logicalSectorSize
        }
    }

    /// What the guest is told of the medium below; for information.
    var physicalSectorSize: Int {
        switch self {
        case .vhd: 512
        case .vhdx(let layer): layer.facts.physicalSectorSize
        }
    }

    /// When the image was made or changed, in seconds since 2000, as children of a VHD may record it.
    var timestamp: UInt32? {
        switch self {
        case .vhd(let layer): layer.facts.footer.timestamp
        case .vhdx: nil
        }
    }

    /// How many entries of its log were replayed when it was opened.
    var replayedEntries: Int {
        switch self {
        case .vhd: 0
        case .vhdx(let layer): layer.facts.replayedEntries
        }
    }
}

/// How a child names its parent, whatever its family.
struct ParentReference: Sendable {
    /// The identities that the parent may have; none when the child does not say.
    let accepted: [GUID]
    /// Where it may be, in the order in which they are to be tried.
    let paths: [ParentPath]
    /// Seconds since 2000 when the parent was changed last; nil when the child does not say.
    let timestamp: UInt32?

    init(_ reference: VHDParentReference) {
        accepted = [reference.uniqueID].filter { $0 != .zero }
        paths = reference.paths
        timestamp = reference.timestamp == 0 ? nil : reference.timestamp
    }

    init(_ reference: VHDXParentReference) {
        // Zeros stand for no identity, in a parent too: they must never match.
        accepted = reference.linkages.filter { $0 != .zero }
        paths = reference.paths
        timestamp = nil
    }
}
