internal import FileSystem

/// What a `NodeID` stands for.
///
/// Each attachment has a number that is never used again, so neither are its nodes: the kernel can't take the pages of one disk for
/// those of a later one of the same name.
enum Place: Hashable {
    case root
    case attachedFolder
    /// `ctl`; each look-up gives it another number, so that writers don't wait for each other on the kernel's inode lock.
    case control
    case disk(attachment: UInt64, DiskItem)

    private static let controlBit: UInt64 = 1 << 63
    private static let itemBits: UInt64 = 8

    init?(_ node: NodeID) {
        let number = node.rawValue
        switch number {
        case 1: self = .root
        case 2: self = .attachedFolder
        case _ where number & Self.controlBit != 0: self = .control
        default:
            guard let item = DiskItem(rawValue: number & (1 << Self.itemBits - 1)), number >> Self.itemBits > 0 else {
                return nil
            }
            self = .disk(attachment: number >> Self.itemBits, item)
        }
    }

    /// The node of this place; for `ctl`, the one with the serial number.
    func node(serial: UInt64 = 0) -> NodeID {
        switch self {
        case .root: .root
        case .attachedFolder: NodeID(rawValue: 2)
        case .control: NodeID(rawValue: Self.controlBit | serial)
        case .disk(let attachment, let item): NodeID(rawValue: attachment << Self.itemBits | item.rawValue)
        }
    }

    /// The inode number that programs see.
    var inode: UInt64 {
        self == .control ? 3 : node().rawValue
    }
}

/// What there is in the folder of an attached disk.
enum DiskItem: UInt64, CaseIterable {
    case folder
    case disk
    case info
    case infoJSON
    case image

    /// The name in the folder; nil for the folder itself.
    var name: String? {
        switch self {
        case .folder: nil
        case .disk: "disk"
        case .info: "info"
        case .infoJSON: "info.json"
        case .image: "image"
        }
    }

    var kind: NodeKind {
        switch self {
        case .folder: .directory
        case .disk, .info, .infoJSON: .regular
        case .image: .symbolicLink
        }
    }
}
