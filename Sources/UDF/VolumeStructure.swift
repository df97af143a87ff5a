internal import BlockDevice
internal import ByteIO
internal import FileSystem
internal import Volumes

/// What leads from the anchor to the root directory (ECMA-167 3/8.4, UDF 2.2).
struct VolumeStructure {
    let blockSize: UInt64
    private(set) var partitions: Partitions
    private(set) var root = BlockAddress(partition: 0, block: 0)
    private let device: any BlockDevice
    private var logicalVolume: [UInt8] = []
    /// Partition descriptors by partition number.
    private var stored: [UInt16: (start: UInt32, length: UInt32, sequence: UInt32)] = [:]

    private static let sequenceLimit = 256
    private static let mapLimit = 64

    init(_ device: any BlockDevice) throws(VolumeError) {
        self.device = device
        let anchors = Self.anchors(device)
        guard let (size, _) = anchors.first else { throw VolumeError(.notRecognized, "there is no anchor of UDF") }
        blockSize = size
        partitions = Partitions(blockSize: size)
        var reason = VolumeError(.damaged, "no volume descriptor sequence is whole")
        for (size, anchor) in anchors where size == blockSize {
            for place in [16, 24] {
                do throws(VolumeError) {
                    try readSequence(anchor, place)
                    try makePartitions()
                    try readFileSet()
                    return
                } catch {
                    reason = error
                }
            }
        }
        throw reason
    }

    /// The anchors of all block sizes: in block 256, the last one, and 256 before that.
    private static func anchors(_ device: any BlockDevice) -> [(UInt64, [UInt8])] {
        var found: [(UInt64, [UInt8])] = []
        for size: UInt64 in [2048, 512, 4096, 1024] {
            let blocks = device.size / size
            for place in [256, blocks &- 1, blocks &- 257, 512] where place < blocks {
                guard let location = UInt32(exactly: place),
                    let bytes = try? device.readBytes(at: place * size, count: 512),
                    DescriptorTag(bytes, location: location)?.kind == .anchor
                else { continue }
                found.append((size, bytes))
            }
        }
        return found
    }

    private func block(_ number: UInt64) throws(VolumeError) -> [UInt8] {
        try device.block(at: number * blockSize, size: blockSize)
    }

    // MARK: Volume descriptors

    /// Reads a volume descriptor sequence; of several descriptors the one with the highest number counts (3/8.4.3).
    private mutating func readSequence(_ anchor: [UInt8], _ place: Int) throws(VolumeError) {
        (logicalVolume, stored) = ([], [:])
        guard var length = try? anchor.load(UInt32.self, at: place, .little),
            var next = try? anchor.load(UInt32.self, at: place + 4, .little)
        else { return }
        var sequence: UInt32 = 0
        var left = UInt64(length) / blockSize
        for _ in 0..<Self.sequenceLimit where left > 0 {
            let bytes = try block(UInt64(next))
            let tag = DescriptorTag(bytes, location: next)
            let number = (try? bytes.load(UInt32.self, at: 16, .little)) ?? 0
            switch tag?.kind {
            case .partition: takePartition(bytes, number)
            case .logicalVolume where logicalVolume.isEmpty || number >= sequence:
                logicalVolume = bytes
                sequence = number
            case .volumeDescriptorPointer:
                guard let more = try? bytes.load(UInt32.self, at: 20, .little),
                    let there = try? bytes.load(UInt32.self, at: 24, .little)
                else { break }
                (length, next) = (more, there)
                left = UInt64(length) / blockSize
                continue
            case .terminating: left = 1
            default: break
            }
            left -= 1
            next = next == .max ? next : next + 1
        }
        guard !logicalVolume.isEmpty else { throw VolumeError(.damaged, "there is no logical volume descriptor") }
        let size = (try? logicalVolume.load(UInt32.self, at: 212, .little)) ?? 0
        guard UInt64(size) == blockSize else {
            throw VolumeError(.unsupported, "logical blocks of \(size) bytes in sectors of \(blockSize)")
        }
    }

    private mutating func takePartition(_ bytes: [UInt8], _ sequence: UInt32) {
        guard let number = try? bytes.load(UInt16.self, at: 22, .little),
            let start = try? bytes.load(UInt32.self, at: 188, .little),
            let length = try? bytes.load(UInt32.self, at: 192, .little),
            sequence >= stored[number]?.sequence ?? 0
        else { return }
        stored[number] = (start, length, sequence)
    }

    // MARK: Partition maps

    private mutating func makePartitions() throws(VolumeError) {
        partitions.maps = []
        let count = Int((try? logicalVolume.load(UInt32.self, at: 268, .little)) ?? 0)
        guard (1...Self.mapLimit).contains(count) else {
            throw VolumeError(.damaged, "the logical volume descriptor claims \(count) partition maps")
        }
        var maps: [[UInt8]] = []
        var place = 440
        for _ in 0..<count {
            guard let length = try? logicalVolume.load(UInt8.self, at: place + 1, .little), length >= 6,
                let map = try? logicalVolume.bytes(at: place, count: Int(length))
            else { throw VolumeError(.damaged, "a partition map reaches past its descriptor") }
            maps.append(map)
            place += Int(length)
        }
        // First those that stand for themselves: the others lie in them.
        partitions.maps = maps.map { physical($0) ?? .broken("a partition of an unknown kind") }
        for (index, map) in maps.enumerated() where map.count >= 64 && map[0] == 2 {
            guard let made = try dependent(map, maps) else { continue }
            partitions.maps[index] = made
        }
    }

    private func number(_ map: [UInt8]) -> UInt16 {
        (try? map.load(UInt16.self, at: map[0] == 1 ? 4 : 38, .little)) ?? .max
    }

    private func name(_ map: [UInt8]) -> String {
        guard map.count >= 28 else { return "" }
        return String(decoding: map[5..<28].prefix { $0 != 0 }, as: UTF8.self)
    }

    private func physical(_ map: [UInt8]) -> PartitionMap? {
        guard map[0] == 1 else { return nil }
        guard let found = stored[number(map)] else { return .broken("there is no partition \(number(map))") }
        return .physical(start: found.start, length: found.length)
    }

    /// The map of a partition that lies in another.
    private func dependent(_ map: [UInt8], _ maps: [[UInt8]]) throws(VolumeError) -> PartitionMap? {
        switch name(map) {
        case "*UDF Sparable Partition": return sparable(map)
        case "*UDF Virtual Partition":
            guard let below = below(map, maps) else { return .broken("a virtual partition without another below it") }
            return try virtual(on: below)
        case "*UDF Metadata Partition":
            guard let below = below(map, maps) else { return .broken("a metadata partition without another below it") }
            return metadata(map, on: below)
        default: return nil
        }
    }

    /// The partition that another lies in: the one with the same number that stands for itself.
    private func below(_ map: [UInt8], _ maps: [[UInt8]]) -> UInt16? {
        let wanted = number(map)
        let found = maps.indices.first { index in
            number(maps[index]) == wanted
                && (maps[index][0] == 1 || name(maps[index]) == "*UDF Sparable Partition")
        }
        return found.map { UInt16($0) }
    }

    private func sparable(_ map: [UInt8]) -> PartitionMap {
        guard let found = stored[number(map)], let packet = try? map.load(UInt16.self, at: 40, .little), packet > 0,
            let tables = try? map.load(UInt8.self, at: 42, .little),
            let size = try? map.load(UInt32.self, at: 44, .little)
        else { return .broken("the map of a sparable partition can't be read") }
        for index in 0..<min(4, Int(tables)) {
            guard let place = try? map.load(UInt32.self, at: 48 + 4 * index, .little),
                let moved = sparingTable(place, bytes: Int(min(size, 1 << 20)))
            else { continue }
            return .sparable(start: found.start, length: found.length, packet: UInt32(packet), moved: moved)
        }
        // Without it nobody can tell which packets have been moved.
        return .broken("no sparing table can be read")
    }

    /// A sparing table (UDF 2.2.12): packets that have been moved, and where to.
    private func sparingTable(_ place: UInt32, bytes count: Int) -> [UInt32: UInt32]? {
        guard let bytes = try? device.readBytes(at: UInt64(place) * blockSize, count: count), bytes.count >= 56,
            bytes[17..<35].elementsEqual("*UDF Sparing Table".utf8),
            let entries = try? bytes.load(UInt16.self, at: 48, .little)
        else { return nil }
        var moved: [UInt32: UInt32] = [:]
        for index in 0..<Int(entries) {
            guard let from = try? bytes.load(UInt32.self, at: 56 + 8 * index, .little),
                let to = try? bytes.load(UInt32.self, at: 60 + 8 * index, .little)
            else { return nil }
            // The last sixteen numbers are marks: free, or defective itself.
            if from < 0xFFFF_FFF0 { moved[from] = to }
        }
        return moved
    }

    // MARK: Metadata and virtual partitions

    private func metadata(_ map: [UInt8], on below: UInt16) -> PartitionMap {
        for place in [40, 44] {
            guard let block = try? map.load(UInt32.self, at: place, .little), block != .max,
                let extents = try? systemFile(BlockAddress(partition: below, block: block), types: [250, 251])
            else { continue }
            return .metadata(extents)
        }
        return .broken("neither the metadata file nor its mirror can be read")
    }

    /// Where the content of a file is that the file system keeps for itself.
    private func systemFile(_ address: BlockAddress, types: [UInt8]) throws(VolumeError) -> ExtentList {
        let place = try partitions.locate(address, count: 1).offset
        let entry = try FileEntry(try block(place / blockSize), location: address.block)
        guard types.contains(entry.type) else {
            throw VolumeError(.damaged, "block \(address.block) holds a file of type \(entry.type)")
        }
        var list = ExtentList()
        if entry.allocation == .embedded {
            try list.append(
                count: UInt64(entry.descriptors.count),
                offset: place + UInt64(entry.descriptors.lowerBound)
            )
        } else {
            let walk = AllocationWalk(
                partitions: partitions,
                read: { (offset) throws(VolumeError) in
                    try block(offset / blockSize)
                }
            )
            try walk.run(entry.descriptorBytes, entry.allocation, partition: address.partition, size: entry.size, &list)
        }
        list.cut(to: entry.size)
        return list
    }

    /// How far back from the end the virtual allocation table is looked for, in bytes: images of media that were not full end in zeros.
    private static let tableSearch: UInt64 = 1 << 30
    private static let searchPiece: UInt64 = 1 << 20
    private static let tableLimit: UInt64 = 256 << 20

    /// The virtual allocation table (UDF 2.2.11): its file entry is the last block that was written.
    private func virtual(on below: UInt16) throws(VolumeError) -> PartitionMap {
        guard case .physical(let start, let length) = partitions.maps[Int(below)] else {
            return .broken("a virtual partition on one that is not plain")
        }
        let first = UInt64(start) * blockSize
        var end = min(first + UInt64(length) * blockSize, device.size / blockSize * blockSize)
        let limit = max(first, end > Self.tableSearch ? end - Self.tableSearch : 0)
        while end > limit {
            let from = max(limit, end > Self.searchPiece ? (end - Self.searchPiece) / blockSize * blockSize : 0)
            let bytes = (try? device.readBytes(at: from, count: Int(end - from))) ?? []
            for place in stride(from: bytes.count - Int(blockSize), through: 0, by: -Int(blockSize)) {
                // The tag of a file entry, 261 or 266.
                guard bytes[place + 1] == 1, bytes[place] == 5 || bytes[place] == 10 else { continue }
                let block = UInt32(clamping: (from + UInt64(place)) / blockSize - UInt64(start))
                if let table = virtualTable(BlockAddress(partition: below, block: block)) {
                    return .virtual(table: table, partition: below)
                }
            }
            end = from
        }
        return .broken("the virtual allocation table can't be found")
    }

    /// The table whose file entry is in a block; nil if that is none.
    private func virtualTable(_ address: BlockAddress) -> [UInt32]? {
        guard let list = try? systemFile(address, types: [0, 248]), list.size <= Self.tableLimit else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(list.size))
        let file = UDFFile(list, generation: 0, device: device)
        let isRead: Void? = try? bytes.withMutableBytes { (span) throws(VolumeError) in
            try file.read(into: &span, at: 0)
        }
        return isRead == nil ? nil : Self.table(bytes)
    }

    /// The entries of a virtual allocation table: behind a header (2.00 on), or before a mark at the end (1.50).
    private static func table(_ bytes: [UInt8]) -> [UInt32]? {
        let isOld =
            bytes.count >= 36 && bytes[(bytes.count - 35)...].starts(with: "*UDF Virtual Alloc Tbl".utf8)
        let range: Range<Int>
        if isOld {
            range = 0..<bytes.count - 36
        } else {
            guard let header = try? bytes.load(UInt16.self, at: 0, .little), header >= 152, Int(header) <= bytes.count
            else { return nil }
            range = Int(header)..<bytes.count
        }
        return stride(from: range.lowerBound, to: range.upperBound - 3, by: 4).compactMap {
            try? bytes.load(UInt32.self, at: $0, .little)
        }
    }

    // MARK: The file set

    private mutating func readFileSet() throws(VolumeError) {
        do {
            let place = try LongAllocation(logicalVolume, at: 248).address
            let offset = try partitions.locate(place, count: 1).offset
            let bytes = try block(offset / blockSize)
            guard DescriptorTag(bytes, location: place.block)?.kind == .fileSet else {
                throw VolumeError(.damaged, "there is no sound file set descriptor in block \(place.block)")
            }
            root = try LongAllocation(bytes, at: 400).address
            let entry = try FileEntry(
                try block(try partitions.locate(root, count: 1).offset / blockSize),
                location: root.block
            )
            guard entry.kind == .directory else { throw VolumeError(.damaged, "the root directory is none") }
        } catch let error as VolumeError {
            throw error
        } catch {
            throw VolumeError(.damaged, "the file set descriptor is cut short")
        }
    }
}
