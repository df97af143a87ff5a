internal import BlockDevice

/// What an entry of the block allocation table may say (formats.md §3.6). Asked at open, and again whenever an entry is used.
struct EntryRules: Sendable {
    /// What an entry keeps of the file.
    enum Use {
        case none
        /// The block's bytes.
        case room(Range<UInt64>)
        /// Room for a block that has no bytes of its own now.
        case anchor(Range<UInt64>)
        /// None, but it should say so.
        case zeroWithOffset(block: UInt64)
    }

    let layout: BlockLayout
    let hasParent: Bool
    let reserved: ReservedRanges
    let tableOffset: UInt64
    let path: String

    func use(of entry: BlockEntry, _ index: UInt64) throws(DiskError) -> Use {
        switch layout.role(ofEntry: index) {
        case .bitmap:
            switch entry.state {
            case .notPresent: return .none
            case .fullyPresent: return .room(try room(of: entry, index, BlockLayout.bitmapBlockSize))
            default: throw damaged(index, entry, "is for a sector bitmap and has a state that is none for it")
            }
        case .payload(let block):
            // Behind the disk's end there may be entries up to the end of the last chunk.
            guard block < layout.blockCount else { return .none }
            switch entry.state {
            case .notPresent: return .none
            case .zero: return entry.offset == 0 ? .none : .zeroWithOffset(block: block)
            case .undefined, .unmapped:
                guard entry.offset > 0, let range = range(of: entry, layout.blockSize) else { return .none }
                return .anchor(range)
            case .fullyPresent: return .room(try room(of: entry, index, layout.blockSize))
            case .partiallyPresent:
                guard hasParent else { throw damaged(index, entry, "is partially present, and there is no parent") }
                return .room(try room(of: entry, index, layout.blockSize))
            case nil: throw damaged(index, entry, "has a state that means nothing")
            }
        }
    }

    /// Where the bytes of a block are.
    func room(of entry: BlockEntry, _ index: UInt64, _ size: UInt64) throws(DiskError) -> Range<UInt64> {
        guard let range = range(of: entry, size) else { throw damaged(index, entry, "is behind the end of any file") }
        if let hit = reserved.overlapping(range) {
            throw damaged(index, entry, "lies on what is at \(hit.lowerBound)–\(hit.upperBound)")
        }
        return range
    }

    private func range(of entry: BlockEntry, _ size: UInt64) -> Range<UInt64>? {
        entry.offset <= UInt64(Int64.max) - size ? entry.offset..<entry.offset + size : nil
    }

    /// The error for an entry that breaks a rule.
    func damaged(_ index: UInt64, _ entry: BlockEntry, _ what: String) -> DiskError {
        DiskError(
            .allocationTableCorrupt,
            "block allocation table: entry \(index) at offset \(tableOffset + index * 8) is 0x\(String(entry.raw, radix: 16)): "
                + "the block at offset \(entry.offset) \(what)",
            path: path
        )
    }

    /// The error for a chunk with partially present blocks and no bitmap.
    func missingBitmap(_ chunk: UInt64) -> DiskError {
        DiskError(
            .bitmapMismatch,
            "block allocation table: blocks of chunk \(chunk) are partially present, but entry \(layout.entryIndex(ofBitmap: chunk)) "
                + "has no sector bitmap for it",
            path: path
        )
    }
}
