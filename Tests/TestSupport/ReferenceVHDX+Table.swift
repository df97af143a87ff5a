internal import ByteIO

/// The block allocation table (§3.6).
struct ReferenceTable {
    private(set) var blocks: [UInt64: ReferenceVHDX.Block] = [:]
    private(set) var bitmapOffsets: [UInt64: UInt64] = [:]

    init(
        _ content: SparseBytes,
        _ regions: ReferenceRegions,
        _ metadata: ReferenceMetadata,
        log: Range<UInt64>
    ) throws {
        let ratio = (1 << 23) * metadata.sectorSize / metadata.blockSize
        let count = (metadata.size + metadata.blockSize - 1) / metadata.blockSize
        let chunks = (count + ratio - 1) / ratio
        let entries = metadata.hasParent ? chunks * (ratio + 1) : count + (count - 1) / ratio
        let needed = regions.table.lowerBound..<regions.table.lowerBound + entries * 8
        try ReferenceVHDX.require(needed.upperBound <= regions.table.upperBound, "the table is too small")

        var used = [0..<1 << 20, log] + regions.all
        var anchored: [Range<UInt64>] = []
        // Holes are zeros: blocks that are not present.
        try content.forEachStoredPage { start, page in
            let part = needed.clamped(to: start..<start + UInt64(page.count))
            for offset in stride(from: part.lowerBound, to: part.upperBound, by: 8) {
                let entry = try page.load(UInt64.self, at: Int(offset - start), .little)
                guard entry != 0 else { continue }
                let index = (offset - needed.lowerBound) / 8
                let (chunk, place) = index.quotientAndRemainder(dividingBy: ratio + 1)
                let (state, target) = (entry & 7, entry >> 20 * (1 << 20))
                try ReferenceVHDX.require(entry >> 3 & 0x1_FFFF == 0, "entry \(index) has reserved bits")
                try ReferenceVHDX.require(target < 1 << 62, "entry \(index) points to \(target)")
                if place == ratio {
                    let isLegal = state == 0 || state == 6 && metadata.hasParent
                    try ReferenceVHDX.require(isLegal, "bitmap entry \(index) has state \(state)")
                    guard state == 6 else { continue }
                    bitmapOffsets[chunk] = target
                    used.append(target..<target + 1 << 20)
                    continue
                }
                let block = chunk * ratio + place
                guard block < count else { continue }
                let isLegal = ![4, 5].contains(state) && (state != 7 || metadata.hasParent)
                try ReferenceVHDX.require(isLegal, "block \(block) has state \(state)")
                try ReferenceVHDX.require(state != 2 || target == 0, "block \(block) is zero and has an offset")
                blocks[block] = ReferenceVHDX.Block(state: state, offset: target)
                if state >= 6 { used.append(target..<target + metadata.blockSize) }
                if [1, 3].contains(state), target != 0 { anchored.append(target..<target + metadata.blockSize) }
            }
        }
        try checkDisjoint(used, in: roundUp(content.count, 512))
        try checkDisjoint(used + anchored, in: .max)
        for (block, entry) in blocks where entry.state == 7 {
            try ReferenceVHDX.require(bitmapOffsets[block / ratio] != nil, "block \(block) has no bitmap")
        }
    }
}
