extension VHDXBuilder {
    /// A random sound image: any geometry, blocks of every state in any physical order with gaps between, some sectors of a child
    /// present and others not.
    ///
    /// Whatever is present is not zero, so that nothing else can look like it.
    ///
    /// - Parameters:
    ///   - subtype: only a differencing one has partial blocks; `setParent` must follow.
    ///   - size: about how large the disk is.
    ///   - blockSizes: to choose from.
    ///   - logicalSectorSize: 512 or 4096; one of them by default. Parent and child must agree.
    public static func random(
        _ subtype: Subtype,
        size: UInt64,
        blockSizes: [UInt32],
        logicalSectorSize: UInt32? = nil,
        using random: inout SeededGenerator
    ) -> VHDXBuilder {
        let sector: UInt32 = logicalSectorSize ?? [512, 4096].randomElement(using: &random) ?? 512
        let unit = UInt64(sector)
        let blockSize = blockSizes.randomElement(using: &random) ?? 1 << 20
        var builder = VHDXBuilder(subtype, size: max(unit, size / unit * unit), blockSize: blockSize)
        builder.logicalSectorSize = sector
        builder.physicalSectorSize = [512, 4096].randomElement(using: &random) ?? 4096
        builder.fileWriteGUID = random.bytes(16)
        builder.dataWriteGUID = random.bytes(16)
        builder.virtualDiskID = random.bytes(16)
        let sequence = UInt64.random(in: 1...UInt64.max / 2, using: &random)
        builder.sequences = Bool.random(using: &random) ? (sequence, sequence + 1) : (sequence + 1, sequence)
        for block in 0..<builder.blockCount { builder.addRandomBlock(block, using: &random) }
        builder.randomizeLayout(using: &random)
        return builder
    }

    /// Makes a random image one that is right only after a replay: of many entries, which wrap around the log's end.
    public mutating func hideEverything(using random: inout SeededGenerator) {
        // Bitmaps full of ones would not fit into the log.
        hasStaleBits = false
        hide(.regionTables, .metadata, .table, .bitmaps) {
            $0.pagesPerEntry = Int.random(in: 1...20, using: &random)
            $0.zeroedPages = 5
            $0.hasOlderPages = Bool.random(using: &random)
            $0.position = UInt64.random(in: 0..<256, using: &random) * 4096
        }
    }

    private mutating func randomizeLayout(using random: inout SeededGenerator) {
        order = blocks.keys.sorted().shuffled(using: &random)
        for block in blocks.keys.sorted() where UInt8.random(in: 0..<6, using: &random) == 0 {
            gaps[block] = UInt64.random(in: 1...3, using: &random)
        }
        bitmapsAreLast = Bool.random(using: &random)
        hasStaleBits = Bool.random(using: &random)
        regionsAreRequired = Bool.random(using: &random)
        listsTableFirst = Bool.random(using: &random)
        surplusLength = [0, 0, 512, 4096, 3 << 20].randomElement(using: &random) ?? 0
        if Bool.random(using: &random) {
            // Like qemu, or with the log behind both regions.
            let table = UInt64(usedTableLength)
            if Bool.random(using: &random) {
                (tableOffset, metadataOffset) = (2 << 20, (2 << 20) + table)
            } else {
                (tableOffset, metadataOffset, logOffset) = (1 << 20, (1 << 20) + table, (2 << 20) + table)
                logLength = 2 << 20
            }
        }
    }

    private mutating func addRandomBlock(_ block: UInt64, using random: inout SeededGenerator) {
        let start = block * UInt64(blockSize)
        let end = min(size, start + UInt64(blockSize))
        // Most of it is one byte, which is quickly made: only some runs are random.
        let fill = UInt8.random(in: 1...255, using: &random)
        for place in Set([start, start + UInt64(blockSize) / 2, max(start, min(end, end &- 1 << 20))]) where place < end
        {
            disk.store([UInt8](repeating: fill, count: Int(min(1 << 20, end - place))), at: place)
        }
        for _ in 0..<4 {
            let range = random.range(in: end - start, longest: 5000)
            disk.store(random.bytes(range.count), at: start + range.lowerBound)
        }
        guard subtype != .fixed else { return }
        let states: [State] = [
            .notPresent, .undefined, .zero, .unmapped, .fullyPresent, .fullyPresent, .partiallyPresent,
        ]
        var state = states.randomElement(using: &random) ?? .fullyPresent
        if state == .partiallyPresent, subtype == .dynamic { state = .fullyPresent }
        var content = Block(state)
        switch state {
        case .undefined, .unmapped: content.isAnchored = Bool.random(using: &random)
        case .partiallyPresent: content.present = randomBits(using: &random)
        case .notPresent, .zero, .fullyPresent: break
        }
        blocks[block] = content
    }

    // Runs of odd lengths, not only at multiples of 8: a wrong order of the bits must show.
    private func randomBits(using random: inout SeededGenerator) -> [Bool] {
        let sectors = Int(sectorsPerBlock)
        var present = [Bool](repeating: false, count: sectors)
        if UInt8.random(in: 0..<8, using: &random) == 0 { return present }
        var sector = Int.random(in: 0..<3, using: &random)
        while sector < sectors {
            let longest = [3, 20, max(1, sectors / 5)].randomElement(using: &random) ?? 3
            let end = min(sectors, sector + Int.random(in: 1...longest, using: &random))
            for i in sector..<end { present[i] = true }
            sector = end + Int.random(in: 1...longest, using: &random)
        }
        return present
    }
}
