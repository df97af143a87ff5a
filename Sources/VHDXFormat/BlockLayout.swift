/// How a disk is cut into payload blocks and chunks, and where their entries stand in the table (formats.md §3.6).
struct BlockLayout: Sendable {
    /// A sector bitmap block, which serves one chunk, always has 1 MiB: a bit for each of 2^23 sectors.
    static let bitmapBlockSize: UInt64 = 1 << 20

    let diskSize: UInt64
    let blockSize: UInt64
    /// The logical sector: what one bit of a bitmap stands for.
    let sectorSize: UInt64
    let blockCount: UInt64
    /// Payload blocks of a chunk; a power of two.
    let chunkRatio: UInt64
    let chunkCount: UInt64
    /// How many entries the disk needs; further ones in the file are ignored.
    let entryCount: UInt64

    private let blockShift: UInt64
    private let chunkShift: UInt64

    /// The sizes have been checked: powers of two, and a disk of at most 64 TiB.
    init(diskSize: UInt64, blockSize: UInt64, sectorSize: UInt64, hasParent: Bool) {
        self.diskSize = diskSize
        self.blockSize = blockSize
        self.sectorSize = sectorSize
        blockShift = UInt64(blockSize.trailingZeroBitCount)
        chunkRatio = (sectorSize << 23) / blockSize
        chunkShift = UInt64(chunkRatio.trailingZeroBitCount)
        blockCount = (diskSize + blockSize - 1) / blockSize
        chunkCount = (blockCount + chunkRatio - 1) / chunkRatio
        entryCount = hasParent ? chunkCount * (chunkRatio + 1) : blockCount + (blockCount - 1) / chunkRatio
    }

    /// The block that holds a byte of the disk.
    func block(of offset: UInt64) -> UInt64 { offset >> blockShift }

    func offsetInBlock(_ offset: UInt64) -> UInt64 { offset & (blockSize - 1) }

    /// The part of the disk that a block holds; the last one may be cut.
    func diskRange(of block: UInt64) -> Range<UInt64> {
        let start = block << blockShift
        return start..<min(start + blockSize, diskSize)
    }

    func chunk(of block: UInt64) -> UInt64 { block >> chunkShift }

    /// Where the entry of a payload block stands: behind each chunk there is one for its bitmap.
    func entryIndex(ofBlock block: UInt64) -> UInt64 { block + chunk(of: block) }

    func entryIndex(ofBitmap chunk: UInt64) -> UInt64 { (chunk + 1) * chunkRatio + chunk }

    /// How many payload blocks from this one on have their entries side by side.
    func blocksInChunk(from block: UInt64) -> UInt64 {
        min(chunkRatio - block & (chunkRatio - 1), blockCount - block)
    }

    /// The bit of a block's first sector in the bitmap of its chunk.
    func firstBit(ofBlock block: UInt64) -> UInt64 {
        (block & (chunkRatio - 1)) * (blockSize / sectorSize)
    }

    /// What an entry is for.
    enum EntryRole {
        case payload(block: UInt64)
        case bitmap(chunk: UInt64)
    }

    func role(ofEntry index: UInt64) -> EntryRole {
        let chunk = index / (chunkRatio + 1)
        let rest = index % (chunkRatio + 1)
        return rest == chunkRatio ? .bitmap(chunk: chunk) : .payload(block: chunk * chunkRatio + rest)
    }
}
