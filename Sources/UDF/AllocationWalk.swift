internal import ByteIO
internal import Volumes

/// Walks over allocation descriptors, and over the blocks that they go on in (ECMA-167 4/12, 4/14.5).
struct AllocationWalk {
    let partitions: Partitions
    /// Reads a block of the device.
    let read: (UInt64) throws(VolumeError) -> [UInt8]

    /// More blocks of descriptors than that are taken for a loop.
    private static let blockLimit = 1 << 20

    /// The four kinds of extents, in the upper two bits of a length.
    private enum Kind: UInt32 {
        case recorded = 0
        case allocated = 1
        case notAllocated = 2
        case continuation = 3
    }

    /// Adds all extents to a list, up to a size.
    func run(
        _ first: [UInt8],
        _ allocation: FileEntry.Allocation,
        partition: UInt16,
        size: UInt64,
        _ list: inout ExtentList
    ) throws(VolumeError) {
        var bytes = first
        var visited: Set<BlockAddress> = []
        while true {
            guard let next = try add(bytes, allocation, partition, size, &list) else { return }
            guard visited.insert(next).inserted, visited.count <= Self.blockLimit else {
                throw VolumeError(.damaged, "the allocation descriptors go round in a circle at block \(next.block)")
            }
            bytes = try descriptors(in: next)
        }
    }

    /// The descriptors of an allocation extent (4/14.5).
    private func descriptors(in address: BlockAddress) throws(VolumeError) -> [UInt8] {
        let block = try read(try partitions.locate(address, count: 1).offset)
        guard let tag = DescriptorTag(block, location: address.block), tag.kind == .allocationExtent,
            let count = try? block.load(UInt32.self, at: 20, .little),
            let bytes = try? block.bytes(at: 24, count: Int(count))
        else { throw VolumeError(.damaged, "there is no sound allocation extent in block \(address.block)") }
        return bytes
    }

    /// Adds the extents of one block; returns where they go on.
    private func add(
        _ bytes: [UInt8],
        _ allocation: FileEntry.Allocation,
        _ partition: UInt16,
        _ size: UInt64,
        _ list: inout ExtentList
    ) throws(VolumeError) -> BlockAddress? {
        let stride = allocation == .short ? 8 : allocation == .long ? 16 : 20
        var place = 0
        while place + stride <= bytes.count, list.size < size {
            let (length, address): (UInt32, BlockAddress)
            do {
                (length, address) = try Self.descriptor(bytes, place, allocation, partition)
            } catch {
                throw VolumeError(.damaged, "an allocation descriptor is cut short")
            }
            let count = UInt64(length & 0x3FFF_FFFF)
            if count == 0 { return nil }
            switch Kind(rawValue: length >> 30) {
            case .recorded: try partitions.append(address, bytes: count, to: &list)
            case .allocated, .notAllocated: try list.append(count: count, offset: nil)
            case .continuation: return address
            case nil: return nil
            }
            place += stride
        }
        return nil
    }

    private static func descriptor(
        _ bytes: [UInt8],
        _ place: Int,
        _ allocation: FileEntry.Allocation,
        _ partition: UInt16
    ) throws(OutOfBounds) -> (UInt32, BlockAddress) {
        let length = try bytes.load(UInt32.self, at: place, .little)
        let block = allocation == .short || allocation == .long ? place + 4 : place + 12
        return (
            length,
            BlockAddress(
                partition: allocation == .short ? partition : try bytes.load(UInt16.self, at: block + 4, .little),
                block: try bytes.load(UInt32.self, at: block, .little)
            )
        )
    }
}
