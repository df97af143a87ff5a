// Made for the tests; the names are those of ECMA-167.
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

internal import ByteIO

/// Writes UDF volumes of all kinds, independently of the reader.
public struct UDFBuilder: Sendable {
    public enum Medium: Sendable, Hashable, CaseIterable {
        case plain
        /// Some packets have gone bad: what stands in their places is garbage.
        case sparable
        case virtualOld
        case virtual
        case metadata
        /// The metadata file itself is destroyed.
        case metadataMirror
    }

    public enum Allocation: UInt16, Sendable, CaseIterable {
        case short = 0
        case long = 1
        case extended = 2
        case embedded = 3
    }

    public struct File: Sendable {
        public var name: String
        public var content: [UInt8]
        public var allocation: Allocation
        /// Every block in an extent of its own, and the extents in many blocks of descriptors.
        public var isFragmented: Bool

        public init(_ name: String, _ content: [UInt8], _ allocation: Allocation = .short, isFragmented: Bool = false) {
            self.name = name
            self.content = content
            self.allocation = allocation
            self.isFragmented = isFragmented
        }
    }

    public var medium: Medium
    public var blockSize: Int
    /// Extended file entries instead of file entries.
    public var isExtended: Bool
    public var image = SparseBytes()
    /// Where the file entries lie, in bytes, by name.
    public private(set) var entries: [String: UInt64] = [:]

    private static let partitionStart = 400
    private static let partitionLength = 8000
    private static let packet = 32
    /// Packets that were moved, by their first block.
    private static let moved = [32, 96, 128]
    private var nextBlock = 0
    private var nextMeta = 0
    private var table: [UInt32] = []

    public init(_ medium: Medium, blockSize: Int = 2048, isExtended: Bool = false) {
        self.medium = medium
        self.blockSize = blockSize
        self.isExtended = isExtended
    }

    // MARK: Blocks

    private var isMetadata: Bool { medium == .metadata || medium == .metadataMirror }
    private var isVirtual: Bool { medium == .virtual || medium == .virtualOld }

    /// The place of a block of the first partition on the volume, in bytes.
    private func place(_ block: Int) -> UInt64 {
        var sector = Self.partitionStart + block
        if medium == .sparable, let index = Self.moved.firstIndex(of: block / Self.packet * Self.packet) {
            sector = Self.partitionStart + Self.partitionLength + index * Self.packet + block % Self.packet
        }
        return UInt64(sector * blockSize)
    }

    private mutating func write(_ bytes: [UInt8], to block: Int) {
        image.store(bytes, at: place(block))
    }

    private mutating func allocate() -> Int {
        defer { nextBlock += 1 }
        return nextBlock
    }

    /// A block for a file entry or a directory: its address, and where it is in the first partition.
    private mutating func allocateMeta() -> (partition: UInt16, block: UInt32, stored: Int) {
        if isMetadata {
            let index = nextMeta
            nextMeta += 1
            return (1, UInt32(index), metaBlock(index))
        }
        let block = allocate()
        if isVirtual {
            table.append(UInt32(block))
            return (1, UInt32(table.count - 1), block)
        }
        return (0, UInt32(block), block)
    }

    /// The metadata file is in two pieces, the later one first.
    private func metaBlock(_ index: Int) -> Int { index < 16 ? 6000 + index : 5000 + index - 16 }

    // MARK: Structures

    private static func tag(_ id: UInt16, _ location: UInt32, _ body: [UInt8]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 16) + body
        bytes.store(id, at: 0, .little)
        bytes.store(UInt16(3), at: 2, .little)
        var crc: UInt16 = 0
        for byte in body {
            crc ^= UInt16(byte) << 8
            for _ in 0..<8 { crc = crc & 0x8000 != 0 ? crc << 1 ^ 0x1021 : crc << 1 }
        }
        bytes.store(crc, at: 8, .little)
        bytes.store(UInt16(body.count), at: 10, .little)
        bytes.store(location, at: 12, .little)
        bytes[4] = bytes[0..<16].reduce(0, &+)
        return bytes
    }

    private static func entity(_ name: String) -> [UInt8] {
        [0] + Array(name.utf8) + [UInt8](repeating: 0, count: 31 - name.utf8.count)
    }

    private static func name(_ text: String) -> [UInt8] {
        text.unicodeScalars.allSatisfy { $0.value < 256 }
            ? [8] + text.unicodeScalars.map { UInt8($0.value) } : [16] + encodeUTF16(text, .big)
    }

    /// 2001-02-03 04:05:06.789012, two hours ahead of UTC.
    private static let time: [UInt8] = [0x78, 0x10, 0xD1, 0x07, 2, 3, 4, 5, 6, 78, 90, 12]
    public static let seconds: Int64 = 981_165_906
    public static let nanoseconds: Int64 = 789_012_000

    private func longAllocation(_ length: Int, _ block: UInt32, _ partition: UInt16) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 16)
        bytes.store(UInt32(length), at: 0, .little)
        bytes.store(block, at: 4, .little)
        bytes.store(partition, at: 8, .little)
        return bytes
    }

    private func descriptor(_ length: UInt32, _ block: Int, _ allocation: Allocation) -> [UInt8] {
        switch allocation {
        case .short:
            var bytes = [UInt8](repeating: 0, count: 8)
            bytes.store(length, at: 0, .little)
            bytes.store(UInt32(block), at: 4, .little)
            return bytes
        case .long:
            var bytes = longAllocation(0, UInt32(block), 0)
            bytes.store(length, at: 0, .little)
            return bytes
        case .extended:
            var bytes = [UInt8](repeating: 0, count: 20)
            bytes.store(length, at: 0, .little)
            bytes.store(length & 0x3FFF_FFFF, at: 4, .little)
            bytes.store(length & 0x3FFF_FFFF, at: 8, .little)
            bytes.store(UInt32(block), at: 12, .little)
            return bytes
        case .embedded: return []
        }
    }

    private func entry(
        type: UInt8,
        size: Int,
        allocation: Allocation,
        location: UInt32,
        links: Int = 1,
        descriptors: [UInt8]
    ) -> [UInt8] {
        var body = [UInt8](repeating: 0, count: (isExtended ? 216 : 176) - 16)
        body.store(UInt16(4), at: 4, .little)
        body.store(UInt16(1), at: 8, .little)
        body[11] = type
        body.store(allocation.rawValue, at: 18, .little)
        body.store(UInt32(1001), at: 20, .little)
        body.store(UInt32.max, at: 24, .little)
        // rwx for the owner, r-x for the group, nothing for others.
        body.store(UInt32(7 << 10 | 5 << 5), at: 28, .little)
        body.store(UInt16(links), at: 32, .little)
        body.store(UInt64(size), at: 40, .little)
        for place in isExtended ? [64, 76, 88, 100] : [56, 68, 80] { body.store(Self.time, at: place) }
        body.store(UInt32(descriptors.count), at: body.count - 4, .little)
        return Self.tag(isExtended ? 266 : 261, location, body + descriptors)
    }

    // MARK: Files

    /// Writes content, and gives the descriptors that lead to it.
    private mutating func store(_ file: File) -> [UInt8] {
        if file.allocation == .embedded { return file.content }
        let piece = file.isFragmented ? blockSize : max(blockSize, file.content.count)
        var all: [[UInt8]] = []
        for start in stride(from: 0, to: file.content.count, by: piece) {
            let part = Array(file.content[start..<min(file.content.count, start + piece)])
            if file.isFragmented { nextBlock += 1 }
            let first = nextBlock
            nextBlock += (part.count + blockSize - 1) / blockSize
            if part.allSatisfy({ $0 == 0 }) {
                // Allocated and not recorded: zeros, whatever stands there.
                write([UInt8](repeating: 0xBA, count: part.count), to: first)
                all.append(descriptor(UInt32(part.count) | 1 << 30, first, file.allocation))
            } else {
                for block in stride(from: 0, to: part.count, by: blockSize) {
                    write(Array(part[block..<min(part.count, block + blockSize)]), to: first + block / blockSize)
                }
                all.append(descriptor(UInt32(part.count), first, file.allocation))
            }
        }
        guard all.count > 5 else { return all.flatMap { $0 } }
        // Five at a time, each five with a sixth that says where they go on.
        var rest = all[...]
        let head = chain(&rest, file.allocation)
        return head
    }

    private mutating func chain(_ rest: inout ArraySlice<[UInt8]>, _ allocation: Allocation) -> [UInt8] {
        let own = rest.prefix(5).flatMap { $0 }
        rest = rest.dropFirst(5)
        guard !rest.isEmpty else { return own }
        let block = allocate()
        let next = chain(&rest, allocation)
        var body = [UInt8](repeating: 0, count: 8)
        body.store(UInt32(next.count), at: 4, .little)
        write(Self.tag(258, UInt32(block), body + next), to: block)
        return own + descriptor(UInt32(blockSize) | 3 << 30, block, allocation)
    }

    private func identifier(
        _ name: [UInt8],
        _ characteristics: UInt8,
        _ address: (partition: UInt16, block: UInt32, stored: Int)
    ) -> [UInt8] {
        var body = [UInt8](repeating: 0, count: 22)
        body.store(UInt16(1), at: 0, .little)
        body[2] = characteristics
        body[3] = UInt8(name.count)
        body.store(longAllocation(blockSize, address.block, address.partition), at: 4)
        body += name
        while (body.count + 16) % 4 != 0 { body.append(0) }
        return Self.tag(257, address.block, body)
    }

    /// Builds a volume with these files in its root, a folder with a link to the first of them, and a symbolic link.
    public mutating func build(_ files: [File]) {
        image = SparseBytes(count: UInt64((Self.partitionStart + Self.partitionLength + 400) * blockSize))
        if medium == .sparable {
            for packet in Self.moved {
                let garbage = [UInt8](repeating: 0xBD, count: Self.packet * blockSize)
                image.store(garbage, at: UInt64((Self.partitionStart + packet) * blockSize))
            }
        }
        let fileSet = allocateMeta()
        let root = allocateMeta()
        var directory = identifier([], 0x0A, root)
        for var file in files {
            // Short descriptors mean the partition of the entry itself, which holds no files' content then.
            if isMetadata || isVirtual, file.allocation == .short { file.allocation = .long }
            let address = allocateMeta()
            entries[file.name] = place(address.stored)
            let descriptors = store(file)
            let bytes = entry(
                type: 5,
                size: file.content.count,
                allocation: file.allocation,
                location: address.block,
                links: 2,
                descriptors: descriptors
            )
            write(bytes, to: address.stored)
            directory += identifier(Self.name(file.name), 0, address)
            directory += identifier([], 0x04, address)
        }
        let link = allocateMeta()
        let target: [UInt8] = [3, 0, 0, 0, 5, 4, 0, 0, 8, 0x66, 0x6F, 0xF6]
        write(
            entry(type: 12, size: target.count, allocation: .embedded, location: link.block, descriptors: target),
            to: link.stored
        )
        directory += identifier(Self.name("link"), 0, link)
        let folder = allocateMeta()
        let parent = identifier([], 0x0A, root)
        write(
            entry(type: 4, size: parent.count, allocation: .embedded, location: folder.block, descriptors: parent),
            to: folder.stored
        )
        directory += identifier(Self.name("folder"), 0x02, folder)
        // The directory itself is a file in pieces.
        let descriptors = store(File("", directory, .long, isFragmented: true))
        write(
            entry(type: 4, size: directory.count, allocation: .long, location: root.block, descriptors: descriptors),
            to: root.stored
        )
        var body = [UInt8](repeating: 0, count: 496)
        body.store(longAllocation(blockSize, root.block, root.partition), at: 384)
        write(Self.tag(256, fileSet.block, body), to: fileSet.stored)
        finish(fileSet)
    }

    // MARK: Volume structures

    private mutating func finish(_ fileSet: (partition: UInt16, block: UInt32, stored: Int)) {
        for (index, name) in ["BEA01", "NSR03", "TEA01"].enumerated() {
            image.store([0] + Array(name.utf8) + [1], at: UInt64(32768 + index * 2048))
        }
        var maps = [UInt8]([1, 6, 1, 0, 0, 0])
        switch medium {
        case .plain: break
        case .sparable:
            maps = map("*UDF Sparable Partition")
            maps.store(UInt16(Self.packet), at: 40, .little)
            maps[42] = 2
            maps.store(UInt32(blockSize), at: 44, .little)
            maps.store(UInt32(390), at: 48, .little)
            maps.store(UInt32(391), at: 52, .little)
            sparingTable(at: 391)
        case .virtual, .virtualOld:
            maps += map("*UDF Virtual Partition")
            virtualTable()
        case .metadata, .metadataMirror:
            var more = map("*UDF Metadata Partition")
            more.store(UInt32(7000), at: 40, .little)
            more.store(UInt32(7001), at: 44, .little)
            more.store(UInt32.max, at: 48, .little)
            maps += more
            for (block, type) in [(7000, UInt8(250)), (7001, 251)] where medium == .metadata || type == 251 {
                let runs =
                    descriptor(UInt32(16 * blockSize), 6000, .short)
                    + descriptor(UInt32(1000 * blockSize), 5000, .short)
                let size = 1016 * blockSize
                write(
                    entry(type: type, size: size, allocation: .short, location: UInt32(block), descriptors: runs),
                    to: block
                )
            }
        }
        for start in [300, 320] { descriptorSequence(at: start, maps, fileSet) }
        let last = Int(image.count) / blockSize - 1
        for block in [256, last] {
            var body = [UInt8](repeating: 0, count: 496)
            for (index, start) in [300, 320].enumerated() {
                body.store(UInt32(16 * blockSize), at: 8 * index, .little)
                body.store(UInt32(start), at: 8 * index + 4, .little)
            }
            image.store(Self.tag(2, UInt32(block), body), at: UInt64(block * blockSize))
        }
    }

    private func map(_ name: String) -> [UInt8] {
        var bytes = [UInt8]([2, 64, 0, 0]) + Self.entity(name) + [UInt8](repeating: 0, count: 28)
        bytes.store(UInt16(1), at: 36, .little)
        return bytes
    }

    private mutating func descriptorSequence(
        at start: Int,
        _ maps: [UInt8],
        _ fileSet: (partition: UInt16, block: UInt32, stored: Int)
    ) {
        var partition = [UInt8](repeating: 0, count: 496)
        partition.store(UInt32(Self.partitionStart), at: 172, .little)
        partition.store(UInt32(Self.partitionLength), at: 176, .little)
        image.store(Self.tag(5, UInt32(start), partition), at: UInt64(start * blockSize))
        // An older descriptor that is not to count.
        var old = partition
        old.store(UInt32(17), at: 172, .little)
        partition.store(UInt32(1), at: 0, .little)
        image.store(Self.tag(5, UInt32(start), partition), at: UInt64(start * blockSize))
        image.store(Self.tag(5, UInt32(start + 1), old), at: UInt64((start + 1) * blockSize))
        var volume = [UInt8](repeating: 0, count: 424)
        volume.store(UInt32(blockSize), at: 196, .little)
        volume.store(longAllocation(blockSize, fileSet.block, fileSet.partition), at: 232)
        volume.store(UInt32(maps.count), at: 248, .little)
        volume.store(UInt32(maps.count > 6 && medium != .sparable ? 2 : 1), at: 252, .little)
        image.store(Self.tag(6, UInt32(start + 2), volume + maps), at: UInt64((start + 2) * blockSize))
        image.store(
            Self.tag(8, UInt32(start + 3), [UInt8](repeating: 0, count: 496)),
            at: UInt64((start + 3) * blockSize)
        )
    }

    private mutating func sparingTable(at sector: Int) {
        var bytes = [UInt8](repeating: 0, count: 16) + Self.entity("*UDF Sparing Table")
        bytes += [UInt8](repeating: 0, count: 8)
        bytes.store(UInt16(Self.moved.count + 1), at: 48, .little)
        for (index, packet) in Self.moved.enumerated() {
            var entry = [UInt8](repeating: 0, count: 8)
            entry.store(UInt32(packet), at: 0, .little)
            entry.store(UInt32(Self.partitionStart + Self.partitionLength + index * Self.packet), at: 4, .little)
            bytes += entry
        }
        bytes += [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]
        image.store(bytes, at: UInt64(sector * blockSize))
    }

    /// The virtual allocation table, as the last thing that was written.
    private mutating func virtualTable() {
        var bytes = table.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * UInt32($0))) } }
        if medium == .virtualOld {
            bytes += Self.entity("*UDF Virtual Alloc Tbl") + [0xFF, 0xFF, 0xFF, 0xFF]
        } else {
            var header = [UInt8](repeating: 0, count: 152)
            header.store(UInt16(152), at: 0, .little)
            bytes = header + bytes
        }
        let descriptors = store(File("", bytes, .short))
        let block = allocate()
        let type: UInt8 = medium == .virtualOld ? 0 : 248
        write(
            entry(type: type, size: bytes.count, allocation: .short, location: UInt32(block), descriptors: descriptors),
            to: block
        )
    }
}
