internal import BlockDevice
internal import ByteIO
internal import Volumes

/// The descriptors that begin in sector 16 (ECMA-119 8).
struct VolumeDescriptors {
    /// A tree of directories: the one of the primary descriptor, or of Joliet.
    struct Tree {
        /// The record of the root directory.
        var root: [UInt8]
        /// Bytes of a logical block.
        var blockSize: Int
        /// Blocks of the volume.
        var blocks: UInt32
    }

    var primary: Tree
    /// Names in UTF-16.
    var joliet: Tree?

    static let sectorSize = 2048
    private static let firstSector: UInt64 = 16
    /// More descriptors than that nobody writes.
    private static let limit: UInt64 = 64

    init(_ device: any BlockDevice) throws(VolumeError) {
        var primary: Tree?
        for sector in Self.firstSector..<Self.firstSector + Self.limit {
            let bytes: [UInt8]
            do {
                bytes = try device.readBytes(at: sector * UInt64(Self.sectorSize), count: Self.sectorSize)
            } catch {
                throw VolumeError(error)
            }
            guard bytes.count == Self.sectorSize, bytes[1..<6].elementsEqual("CD001".utf8), bytes[0] != 255 else {
                break
            }
            // The first of each kind counts.
            if bytes[0] == 1, primary == nil { primary = try Self.tree(bytes) }
            if bytes[0] == 2, joliet == nil, Self.isJoliet(bytes) { joliet = try? Self.tree(bytes) }
        }
        guard let primary else { throw VolumeError(.notRecognized, "there is no primary volume descriptor") }
        self.primary = primary
    }

    private static func isJoliet(_ bytes: [UInt8]) -> Bool {
        ["%/@", "%/C", "%/E"].contains { bytes[88..<91].elementsEqual($0.utf8) }
    }

    private static func tree(_ bytes: [UInt8]) throws(VolumeError) -> Tree {
        let size = Int((try? bytes.load(UInt16.self, at: 128, .little)) ?? 0)
        guard [512, 1024, 2048].contains(size) else {
            throw VolumeError(
                .damaged,
                "the volume descriptor claims blocks of \(size) bytes; there are 512, 1024, 2048"
            )
        }
        let blocks = (try? bytes.load(UInt32.self, at: 80, .little)) ?? 0
        return Tree(root: Array(bytes[156..<190]), blockSize: size, blocks: blocks)
    }
}
