/// Where things are inside a block, and where a block is inside the disk (formats.md §2.5).
struct BlockLayout {
    /// Data bytes of a block: a power of two, at least 512.
    let blockSize: UInt64
    /// Bytes of the sector bitmap in front of the data: a multiple of 512.
    let bitmapSize: UInt64
    /// The disk's size in bytes.
    let diskSize: UInt64
    private let shift: UInt64

    init(blockSize: UInt64, diskSize: UInt64) {
        self.blockSize = blockSize
        self.diskSize = diskSize
        shift = UInt64(blockSize.trailingZeroBitCount)
        let bitmapBytes = (blockSize / 512 + 7) / 8
        bitmapSize = (bitmapBytes + 511) / 512 * 512
    }

    /// Bytes that a block takes in the file.
    var storedSize: UInt64 { bitmapSize + blockSize }

    /// Where the next block can begin at or behind a byte of the file: such that its data is on a 4 KiB boundary, as Windows places it,
    /// or just on a sector.
    func place(behind offset: UInt64, isAligned: Bool) -> UInt64 {
        isAligned ? roundUp(offset + bitmapSize, to: 4096) - bitmapSize : roundUp(offset, to: 512)
    }

    /// How many blocks the disk has.
    var blockCount: UInt64 { (diskSize + blockSize - 1) >> shift }

    /// The block of a byte of the disk.
    @inline(__always)
    func block(of offset: UInt64) -> UInt64 { offset >> shift }

    /// The byte's place in its block.
    @inline(__always)
    func offsetInBlock(_ offset: UInt64) -> UInt64 { offset & (blockSize - 1) }

    /// The bytes of the disk that a block holds; the last block may be cut by the disk's end.
    func diskRange(of block: UInt64) -> Range<UInt64> {
        block << shift..<min((block + 1) << shift, diskSize)
    }
}

/// Rounds up to a multiple of a power of two.
func roundUp(_ value: UInt64, to unit: UInt64) -> UInt64 {
    (value + unit - 1) & ~(unit - 1)
}
