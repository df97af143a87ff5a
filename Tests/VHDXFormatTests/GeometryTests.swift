import BlockDevice
import TestSupport
import Testing
import VHDXFormat

/// Every legal block size, both sector sizes, several chunks, disks of 64 TiB.
struct GeometryTests {
    @Test(arguments: [UInt32].all, [512, 4096] as [UInt32])
    func everyBlockSizeWithBothSectorSizes(_ blockSize: UInt32, _ sector: UInt32) throws {
        var random = SeededGenerator(seed: UInt64(blockSize) + UInt64(sector))
        let size = UInt64(blockSize) * 3 + 4096 * 5
        let parent = VHDXBuilder.random(
            .dynamic,
            size: size,
            blockSizes: [blockSize],
            logicalSectorSize: sector,
            using: &random
        )
        var child = VHDXBuilder.random(
            .differencing,
            size: size,
            blockSizes: [blockSize],
            logicalSectorSize: sector,
            using: &random
        )
        child.setParent(parent, file: "parent.vhdx")
        try check([child, parent], using: &random)
    }

    /// Chunks are of 4 GiB with small sectors and of 32 GiB with large ones; the bitmaps' entries stand between the blocks'.
    @Test(arguments: [1, 2, 32, 256] as [UInt32], [512, 4096] as [UInt32])
    func severalChunks(_ mib: UInt32, _ sector: UInt32) throws {
        var random = SeededGenerator(seed: UInt64(mib) + UInt64(sector))
        let blockSize = mib << 20
        let chunk = UInt64(sector) << 23
        let size = chunk * 3 + UInt64(blockSize) + 4096
        var layers = [VHDXBuilder.Subtype.differencing, .dynamic].map { subtype in
            var layer = VHDXBuilder(subtype, size: size, blockSize: blockSize)
            (layer.logicalSectorSize, layer.hasStaleBits) = (sector, subtype == .differencing)
            return layer
        }
        layers[0].setParent(layers[1], file: "parent.vhdx")
        // The first and the last blocks of each chunk, in both layers.
        let ratio = chunk / UInt64(blockSize)
        let blocks = Set((0...3).flatMap { [$0 * ratio, $0 * ratio + 1, max(1, $0 * ratio) - 1] } as [UInt64])
        for block in blocks.filter({ $0 < layers[0].blockCount }).sorted() {
            for index in layers.indices {
                layers[index].addMarks(to: block, partial: index == 0 && block % 2 == 0, using: &random)
            }
        }
        #expect(Set(layers[0].build().bitmapOffsets.keys).count >= 2)
        try check(layers, using: &random)
    }

    /// Between the last entry of a chunk and the first of the next one stands the bitmap's, which is no block.
    @Test(arguments: [VHDXBuilder.Subtype.dynamic, .differencing], [0, 2, 3] as [UInt64])
    func runsOfBlocksDoNotCountTheBitmap(_ subtype: VHDXBuilder.Subtype, _ state: UInt64) throws {
        var random = SeededGenerator(seed: state)
        var builder = VHDXBuilder(subtype, size: 9 << 30, blockSize: 32 << 20)
        if subtype == .differencing { builder.setParent(builder, file: "parent.vhdx") }
        // The second bitmap's entry: the first one's begins a sector of the table.
        builder.addMarks(to: 256, partial: false, using: &random)
        for block in 200..<256 as Range<UInt64> { builder.blocks[block] = .init(.init(rawValue: state) ?? .zero) }
        try check([builder], using: &random)
        let disk = try OpenDisk([MemoryFile(builder.build().content)], writable: false)
        let border: UInt64 = 256 * (32 << 20)
        for start in [border - (3 << 20), border - 1] {
            try DiskModel(builder.shown()).check(start..<border + (3 << 20), of: disk.device)
        }
        var offset = border - 4 * (32 << 20)
        while offset < border {
            let run = try disk.device.allocation(at: offset, limit: builder.size)
            #expect(!run.isData && run.end <= border)
            offset = run.end
        }
        #expect(try disk.device.allocation(at: border, limit: builder.size).isData)
    }

    /// A disk of 64 TiB with blocks of 1 MiB has a table of 512 MiB, of which next to nothing is stored: so little is read of it.
    @Test(arguments: [1, 2, 32, 256] as [UInt32], [VHDXBuilder.Subtype.dynamic, .differencing])
    func disksOf64TiB(_ mib: UInt32, _ subtype: VHDXBuilder.Subtype) throws {
        var random = SeededGenerator(seed: UInt64(mib))
        var builder = VHDXBuilder(subtype, size: 64 << 40, blockSize: mib << 20)
        if subtype == .differencing { builder.setParent(builder, file: "parent.vhdx") }
        let last = builder.blockCount - 1
        for block in [0, 1, 4095, 4096, last / 2, last - 1, last] {
            builder.addMarks(to: block, partial: subtype == .differencing && block % 2 == 1, using: &random)
        }
        builder.order = [last, 0, last / 2]
        let files = try check([builder], using: &random)
        #expect(files[0].content.storedBytes < 64 << 20, "the file is not sparse")
        let counted = CountingFile(files[0])
        let disk = try OpenDisk(counted, writable: true)
        try DiskModel(builder.shown()).checkSparsely(disk.device, using: &random)
        #expect(counted.readBytes < 32 << 20, "\(counted.readBytes) bytes were read of a file with next to none")
    }

    /// A table that is stored in full is too long to be searched at attach: each entry is checked when it is used, and all of them before
    /// the first write.
    @Test func aLongTableIsCheckedWhereItIsUsed() throws {
        var random = SeededGenerator(seed: 4)
        var builder = VHDXBuilder(.dynamic, size: 8 << 40, blockSize: 1 << 20)
        let last = builder.blockCount - 1
        for block in [0, last] { builder.addMarks(to: block, partial: false, using: &random) }
        builder.entryOverrides[builder.entryIndex(ofBlock: last - 1)] = 6 | builder.metadataOffset
        var content = builder.build().content
        // Zeros, but stored.
        let table = builder.tableOffset + 4096
        content.store([UInt8](repeating: 0, count: 48 << 20), at: table)
        let file = MemoryFile(content)
        let writer = try OpenDisk(file, writable: true)
        let error = #expect(throws: DiskError.self) { try writer.device.store([1], at: 5 << 20) }
        #expect(error?.kind == .allocationTableCorrupt)
        #expect(file.content == content, "the table is damaged, and yet the file was changed")
        let disk = try OpenDisk(MemoryFile(content), writable: false)
        #expect(!disk.warnings.isEmpty)
        try DiskModel(builder.shown()).check(last << 20..<(last + 1) << 20, of: disk.device)
        let read = #expect(throws: DiskError.self) {
            try disk.device.contents((last - 1) << 20..<(last - 1) << 20 + 512)
        }
        #expect(read?.kind == .allocationTableCorrupt)
    }

    @Test(arguments: [512, 4096] as [UInt32])
    func theSmallestDisks(_ sector: UInt32) throws {
        var random = SeededGenerator(seed: 1)
        for subtype in VHDXBuilder.Subtype.allCases {
            let builder = VHDXBuilder.random(
                subtype,
                size: UInt64(sector),
                blockSizes: .small,
                logicalSectorSize: sector,
                using: &random
            )
            try check([builder], using: &random)
        }
    }

    @Test func blockSizesMayDifferInAChain() throws {
        var random = SeededGenerator(seed: 5)
        var layers: [VHDXBuilder] = []
        for blockSize in [2, 32, 1, 8, 4] as [UInt32] {
            var layer = VHDXBuilder.random(
                layers.isEmpty ? .dynamic : .differencing,
                size: 33 << 20,
                blockSizes: [blockSize << 20],
                logicalSectorSize: 512,
                using: &random
            )
            if let parent = layers.first { layer.setParent(parent, file: "parent.vhdx") }
            layers.insert(layer, at: 0)
        }
        try check(layers, using: &random)
    }

    /// Opens the layers, the leaf first, and compares the disk with the model.
    @discardableResult
    private func check(_ layers: [VHDXBuilder], using random: inout SeededGenerator) throws -> [MemoryFile] {
        let files = layers.map { MemoryFile($0.build().content) }
        let shown = layers.reversed().reduce(nil as SparseBytes?) { $1.shown(over: $0) }
        let disk = try OpenDisk(files, writable: false)
        try DiskModel(shown ?? SparseBytes()).checkSparsely(disk.device, using: &random)
        #expect(disk.leaf.facts.blockSize == UInt64(layers[0].blockSize))
        return files
    }
}

extension VHDXBuilder {
    /// Makes a block present, and puts some bytes to its ends and its middle.
    fileprivate mutating func addMarks(to block: UInt64, partial: Bool, using random: inout SeededGenerator) {
        let start = block * UInt64(blockSize)
        blocks[block] = .full
        if partial {
            let sectors = Int(sectorsPerBlock)
            let present = (0..<sectors).map { $0 % 7 == 0 || $0 % 5 == 1 || $0 > sectors - 3 }
            blocks[block] = Block(.partiallyPresent, present: present)
        }
        for place in [start, start + UInt64(blockSize) / 2 - 3000, start + UInt64(blockSize) - 9000] where place < size
        {
            disk.store(random.bytes(Int(min(9000, size - place))), at: place)
        }
    }
}
