internal import ByteIO

extension VHDBuilder {
    /// A random sound image: any geometry, blocks in any physical order with gaps between, some sectors present and others not.
    ///
    /// - Parameters:
    ///   - size: about how large the disk is.
    ///   - blockSizes: to choose from.
    public static func random(
        _ subtype: Subtype,
        size: UInt64,
        blockSizes: [UInt32],
        using random: inout SeededGenerator
    ) -> VHDBuilder {
        let blockSize = blockSizes.randomElement(using: &random) ?? 4096
        var builder = VHDBuilder(subtype, size: max(512, size / 512 * 512))
        builder.blockSize = blockSize
        builder.uniqueID = random.bytes(16)
        builder.alignment = Alignment.allCases.randomElement(using: &random) ?? .windows
        if subtype == .fixed {
            builder.disk.store(random.bytes(Int(builder.size)), at: 0)
            return builder
        }
        for block in 0..<builder.entryCount where Bool.random(using: &random) {
            builder.addRandomBlock(block, using: &random)
        }
        builder.order = builder.blocks.keys.sorted().shuffled(using: &random)
        for block in builder.blocks.keys where UInt8.random(in: 0..<4, using: &random) == 0 {
            builder.gaps[block] = UInt64.random(in: 1...9, using: &random)
        }
        builder.extraEntries = [0, 0, 1, 200].randomElement(using: &random) ?? 0
        if Bool.random(using: &random) { builder.tableOffset = 8192 }
        return builder
    }

    /// Adds a block of which the sectors are all, none, or some present, with random bytes in those.
    private mutating func addRandomBlock(_ block: UInt64, using random: inout SeededGenerator) {
        let sectors = Int(blockSize / 512)
        let style = UInt8.random(in: 0..<4, using: &random)
        if style == 0 {
            blocks[block] = []
        } else if style == 1 {
            blocks[block] = [Bool](repeating: false, count: sectors)
        } else {
            var present = [Bool](repeating: false, count: sectors)
            // Runs of odd lengths, not only at multiples of 8: a wrong order of the bits must show.
            var sector = Int.random(in: 0..<3, using: &random)
            while sector < sectors {
                let end = min(sectors, sector + Int.random(in: 1...max(1, sectors / 5), using: &random))
                for i in sector..<end { present[i] = true }
                sector = end + Int.random(in: 1...max(1, sectors / 7), using: &random)
            }
            blocks[block] = present
        }
        for range in presentRanges(of: block) {
            disk.store(random.bytes(range.count), at: range.lowerBound)
        }
    }

    /// Makes this the child of `parent`: its identifier, and locators that name the parent's file.
    public mutating func setParent(_ parent: VHDBuilder, file: String) {
        subtype = .differencing
        parentID = parent.uniqueID
        parentName = file
        locators = [
            Locator("W2ku", encodeUTF16("C:\\images\\\(file)", .little)),
            Locator("W2ru", encodeUTF16(".\\\(file)", .little)),
        ]
    }
}
