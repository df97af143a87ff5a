internal import BlockDevice
internal import ByteIO
internal import Volumes

/// How the blocks of a partition of the logical volume are found on the device (ECMA-167 3/10.7, UDF 2.2.8 to 2.2.10).
enum PartitionMap {
    /// Blocks one behind the other, from a block of the volume on.
    case physical(start: UInt32, length: UInt32)
    /// As physical, but packets that have gone bad are elsewhere.
    case sparable(start: UInt32, length: UInt32, packet: UInt32, moved: [UInt32: UInt32])
    /// A table says where each block is in another partition.
    case virtual(table: [UInt32], partition: UInt16)
    /// The blocks are those of a file.
    case metadata(ExtentList)
    /// Not to be used; the words say why.
    case broken(String)
}

/// The partitions of a logical volume.
struct Partitions {
    var maps: [PartitionMap] = []
    let blockSize: UInt64

    /// A run of blocks that lie one behind the other on the device.
    struct Piece {
        /// Bytes on the device.
        var offset: UInt64
        /// Blocks.
        var count: UInt64
    }

    /// Finds as many blocks from an address on as lie behind each other.
    func locate(_ address: BlockAddress, count: UInt64) throws(VolumeError) -> Piece {
        guard Int(address.partition) < maps.count else {
            throw VolumeError(.damaged, "there is no partition \(address.partition)")
        }
        let block = UInt64(address.block)
        switch maps[Int(address.partition)] {
        case .physical(let start, let length):
            try check(block, count, length)
            return Piece(offset: (UInt64(start) + block) * blockSize, count: count)
        case .sparable(let start, let length, let packet, let moved):
            try check(block, count, length)
            let inside = block % UInt64(packet)
            let whole = moved.isEmpty ? count : min(count, UInt64(packet) - inside)
            let place = moved[UInt32(block - inside)].map(UInt64.init) ?? UInt64(start) + block - inside
            return Piece(offset: (place + inside) * blockSize, count: whole)
        case .virtual(let table, let partition):
            guard block < UInt64(table.count), table[Int(block)] != .max else {
                throw VolumeError(.damaged, "the virtual allocation table has no block \(block)")
            }
            guard case .virtual = maps[Int(partition)] else {
                return try locate(BlockAddress(partition: partition, block: table[Int(block)]), count: 1)
            }
            throw VolumeError(.damaged, "a virtual partition stands on another one")
        case .metadata(let extents):
            let position = block * blockSize
            guard position < extents.size else {
                throw VolumeError(.damaged, "the metadata partition has no block \(block)")
            }
            let run = extents.runs[extents.index(at: position)]
            guard let offset = run.offset else {
                throw VolumeError(.damaged, "block \(block) of the metadata partition has never been written")
            }
            let inside = position - run.start
            return Piece(offset: offset + inside, count: min(count, (run.count - inside) / blockSize))
        case .broken(let words): throw VolumeError(.damaged, words)
        }
    }

    private func check(_ block: UInt64, _ count: UInt64, _ length: UInt32) throws(VolumeError) {
        guard block + count <= UInt64(length) else {
            throw VolumeError(
                .damaged,
                "blocks \(block) to \(block + count) lie past the end of their partition at \(length)"
            )
        }
    }

    /// Adds the place of bytes that begin at an address to a list.
    func append(_ address: BlockAddress, bytes: UInt64, to list: inout ExtentList) throws(VolumeError) {
        var address = address
        var rest = bytes
        while rest > 0 {
            let blocks = (rest + blockSize - 1) / blockSize
            let piece = try locate(address, count: blocks)
            guard piece.count > 0 else { throw VolumeError(.damaged, "block \(address.block) is not there") }
            let count = min(rest, piece.count * blockSize)
            try list.append(count: count, offset: piece.offset)
            rest -= count
            let (next, overflow) = address.block.addingReportingOverflow(UInt32(clamping: piece.count))
            guard rest == 0 || !overflow else { throw VolumeError(.damaged, "an extent reaches past every end") }
            address.block = next
        }
    }
}
