internal import FileSystem
internal import Volumes

/// What a `NodeID` stands for.
///
/// Each attachment has a number that is never used again, and so has each volume that was looked into; so neither are their nodes: the
/// kernel can't take the pages of one disk for those of a later one of the same name.
enum Place: Hashable {
    case root
    case attachedFolder
    case mountsFolder
    /// `ctl`; each look-up gives it another number, so that writers don't wait for each other on the kernel's inode lock.
    case control
    case disk(attachment: UInt64, DiskItem)
    /// A file or folder below the root of a volume.
    case file(volume: UInt64, FileID)

    private static let controlBit: UInt64 = 1 << 63
    private static let fileBit: UInt64 = 1 << 62
    private static let itemBits: UInt64 = 12

    /// The largest number that a volume may have.
    static let volumeLimit: UInt64 = 1 << (62 - FileID.bits)

    init?(_ node: NodeID) {
        let number = node.rawValue
        switch number {
        case 1: self = .root
        case 2: self = .attachedFolder
        case 4: self = .mountsFolder
        case _ where number & Self.controlBit != 0: self = .control
        case _ where number & Self.fileBit != 0:
            let file = FileID(rawValue: number & (1 << FileID.bits - 1))
            self = .file(volume: (number & ~Self.fileBit) >> FileID.bits, file)
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
        case .mountsFolder: NodeID(rawValue: 4)
        case .control: NodeID(rawValue: Self.controlBit | serial)
        case .disk(let attachment, let item): NodeID(rawValue: attachment << Self.itemBits | item.rawValue)
        case .file(let volume, let file): NodeID(rawValue: Self.fileBit | volume << FileID.bits | file.rawValue)
        }
    }

    /// The inode number that programs see.
    var inode: UInt64 {
        self == .control ? 3 : node().rawValue
    }
}

/// What there is of an attached disk.
enum DiskItem: Hashable {
    /// `attached/NAME`
    case folder
    case disk
    case info
    case infoJSON
    case image
    /// `mounts/NAME`
    case volumes
    /// `pN` in `attached/NAME`: a slot of `ShownDisk`.
    case partition(slot: Int)
    /// `pN` in `mounts/NAME`
    case volume(slot: Int)

    /// What stands in the folder of every attached disk.
    static let fixed: [DiskItem] = [.disk, .info, .infoJSON, .image]

    private static let firstSlot: UInt64 = 16
    /// How many slots have numbers.
    static let slotLimit = 2000

    init?(rawValue: UInt64) {
        switch rawValue {
        case 0: self = .folder
        case 1: self = .disk
        case 2: self = .info
        case 3: self = .infoJSON
        case 4: self = .image
        case 5: self = .volumes
        case Self.firstSlot...:
            let (slot, isVolume) = (rawValue - Self.firstSlot).quotientAndRemainder(dividingBy: 2)
            self = isVolume == 1 ? .volume(slot: Int(slot)) : .partition(slot: Int(slot))
        default: return nil
        }
    }

    var rawValue: UInt64 {
        switch self {
        case .folder: 0
        case .disk: 1
        case .info: 2
        case .infoJSON: 3
        case .image: 4
        case .volumes: 5
        case .partition(let slot): Self.firstSlot + 2 * UInt64(slot)
        case .volume(let slot): Self.firstSlot + 2 * UInt64(slot) + 1
        }
    }

    /// The name of what stands in the folder of every attached disk.
    var name: String? {
        switch self {
        case .disk: "disk"
        case .info: "info"
        case .infoJSON: "info.json"
        case .image: "image"
        case .folder, .volumes, .partition, .volume: nil
        }
    }

    var kind: NodeKind {
        switch self {
        case .folder, .volumes, .volume: .directory
        case .disk, .info, .infoJSON, .partition: .regular
        case .image: .symbolicLink
        }
    }
}
