import BlockDevice
import TestSupport
import Testing

/// The rows of `formats.md` §6.2 about the block allocation table and the blocks.
struct DamagedTableTests {
    static let child = VHDXBuilder.base(.differencing)

    @Test(arguments: table + states + places + overlaps)
    func row(_ image: DamagedImage) throws {
        try image.check()
    }

    @Test(arguments: anchors + bitmaps + ends)
    func row2(_ image: DamagedImage) throws {
        try image.check()
    }

    /// A block that says zeros or unmapped hides the parent; one that is not present shows it.
    @Test func zeroAndUnmappedAndUndefinedHideTheParent() throws {
        var parent = VHDXBuilder.base()
        parent.disk.store([UInt8](repeating: 0x99, count: 12 << 20), at: 0)
        for block in 0..<12 as Range<UInt64> { parent.blocks[block] = .full }
        var child = VHDXBuilder(.differencing, size: 12 << 20, blockSize: 1 << 20)
        child.setParent(parent, file: "parent.vhdx")
        for (block, state) in VHDXBuilder.State.allCases.enumerated() where state.rawValue < 6 {
            child.blocks[UInt64(block)] = .init(state)
            child.blocks[UInt64(block) + 5] = .init(state, isAnchored: [.undefined, .unmapped].contains(state))
        }
        let files = [child, parent].map { MemoryFile($0.build().content) }
        let disk = try OpenDisk(files, writable: false)
        for (block, state) in VHDXBuilder.State.allCases.enumerated() where state.rawValue < 6 {
            for start in [UInt64(block) << 20, UInt64(block + 5) << 20] {
                let byte: UInt8 = state == .notPresent ? 0x99 : 0
                #expect(
                    try disk.device.contents(start..<start + 512) == [UInt8](repeating: byte, count: 512),
                    "\(state)"
                )
                #expect(try disk.device.allocation(at: start, limit: start + 512).isData == (byte != 0), "\(state)")
            }
        }
    }

    static let table: [DamagedImage] = [
        DamagedImage("table too small", .refused(.allocationTableCorrupt)) {
            // 8 entries of 1 MiB more than 131,072 fit into no MiB.
            $0.tableLength = 1 << 20
            $0.change(VHDXBuilder.ItemID.virtualDiskSize) { $0.bytes = littleEndian(UInt64(131_072 - 31 + 1) << 20) }
        },
        DamagedImage("surplus entries of nonsense", .opens) {
            for index in 12..<600 as Range<UInt64> { $0.entryOverrides[index] = .max }
        },
        DamagedImage("nonsense at the region's end", .opens) { $0.entryOverrides[131_071] = 5 },
    ]

    static let states: [DamagedImage] =
        [4, 5].map { entry("state \($0)", $0) }
        + [
            entry("state 5 with an offset", 5 | 9 << 20),
            entry("of a partial block without parent", 7 | UInt64(20) << 20),
            entry("with all bits", .max),
            entry("with reserved bit 3, not present", 1 << 3, .warns, writable: .refused(.allocationTableCorrupt)),
            entry("with reserved bit 19, zero", 2 | 1 << 19, .warns, writable: .refused(.allocationTableCorrupt)),
            present("with reserved bit 4", 1 << 4, .warns, writable: .refused(.allocationTableCorrupt)),
            entry("of a zero block with an offset", 2 | 500 << 20, .opens),
            entry("of a zero block on a neighbour", 2 | 4 << 20, .opens),
            entry("not present, with an offset", 9999 << 20, .opens),
        ]

    static let places: [DamagedImage] = [
        entry("present at 0", 6),
        DamagedImage("partial at 0", .refused(.allocationTableCorrupt), of: child) {
            $0.extraBitmaps = [0]
            $0.entryOverrides[1] = 7
        },
        entry("present behind the end", 6 | 400 << 20, .refused(.truncated, .allocationTableCorrupt)),
        entry("present at 2^63", 6 | 1 << 63, .refused(.truncated, .allocationTableCorrupt)),
        entry("present in the last MiB there is", UInt64.max << 20 | 6, .refused(.truncated, .allocationTableCorrupt)),
    ]

    static let overlaps: [DamagedImage] = [
        entry("over the log", 6 | 1 << 20),
        entry("over the metadata", 6 | 2 << 20),
        entry("over the table", 6 | 3 << 20),
        entry("over another block", 6 | 5 << 20),
        DamagedImage("block of 2 MiB over its neighbour's end", .refused(.allocationTableCorrupt)) {
            $0.blockSize = 2 << 20
            $0.blocks = [0: .full, 1: .full, 5: .full]
            $0.order = [0, 1, 5]
            $0.entryOverrides[0] = 6 | 5 << 20
        },
        DamagedImage("block of 2 MiB over its neighbour's start", .refused(.allocationTableCorrupt)) {
            $0.blockSize = 2 << 20
            $0.blocks = [0: .full, 1: .full, 5: .full]
            $0.order = [0, 1, 5]
            $0.entryOverrides[1] = 6 | 7 << 20
        },
        DamagedImage("block over a foreign region", .refused(.allocationTableCorrupt)) {
            $0.extraRegions = [.init(guid: .init(repeating: 9, count: 16), offset: 30 << 20, length: 1 << 20, flags: 0)]
            $0.entryOverrides[1] = 6 | 30 << 20
        },
        DamagedImage("block over a bitmap", .refused(.allocationTableCorrupt, .bitmapMismatch), of: child) {
            $0.extraBitmaps = [0]
            $0.entryOverrides[1] = 6 | 4 << 20
        },
        DamagedImage("bitmap over the table", .refused(.allocationTableCorrupt, .bitmapMismatch), of: child) {
            $0.entryOverrides[$0.entryIndex(ofBitmap: 0)] = 6 | 3 << 20
        },
    ]

    static let anchors: [DamagedImage] = [VHDXBuilder.State.undefined, .unmapped].flatMap { state in
        [
            DamagedImage("\(state) with a place", .opens) { $0.blocks[6] = .init(state, isAnchored: true) },
            DamagedImage("\(state) with a place, in a child", .opens, of: child) {
                $0.blocks[6] = .init(state, isAnchored: true)
            },
            DamagedImage("\(state) without a place", .opens) { $0.blocks[6] = .init(state) },
            anchor("\(state) on a present block", state.rawValue | 5 << 20),
            anchor("\(state) on the table", state.rawValue | 3 << 20),
            anchor("\(state) behind the end", state.rawValue | 4000 << 20),
        ]
    }

    static let bitmaps: [DamagedImage] =
        [
            DamagedImage("partial block", .opens, of: child) { $0.addPartialBlock() },
            DamagedImage("partial block without a bitmap", .refused(.bitmapMismatch), of: child) {
                $0.addPartialBlock()
                $0.entryOverrides[$0.entryIndex(ofBitmap: 0)] = 0
            },
            DamagedImage(
                "partial block with a bitmap at 0",
                .refused(.bitmapMismatch, .allocationTableCorrupt),
                of: child
            ) {
                $0.addPartialBlock()
                $0.entryOverrides[$0.entryIndex(ofBitmap: 0)] = 6
            },
            DamagedImage(
                "bitmap behind the end",
                .refused(.bitmapMismatch, .allocationTableCorrupt, .truncated),
                of: child
            ) {
                $0.addPartialBlock()
                $0.entryOverrides[$0.entryIndex(ofBitmap: 0)] = 6 | 700 << 20
            },
            DamagedImage("bitmap that no block needs", .opens, of: child) { $0.extraBitmaps = [0] },
        ]
        + [1, 2, 3, 4, 5, 7].map { (state: UInt64) in
            DamagedImage("bitmap in state \(state)", .refused(.bitmapMismatch, .allocationTableCorrupt), of: child) {
                $0.addPartialBlock()
                let offset = $0.build().bitmapOffsets[0] ?? 0
                $0.entryOverrides[$0.entryIndex(ofBitmap: 0)] = state | offset
            }
        }

    static let ends: [DamagedImage] = [
        DamagedImage("file with a sector more", .opens) { $0.surplusLength = 512 },
        DamagedImage("file with 100 bytes more", .opens) { $0.surplusLength = 100 },
        DamagedImage("file a sector short", .refused(.truncated, .allocationTableCorrupt)) {
            $0.fileLength = $0.build().end - 512
        },
        DamagedImage("file a MiB short", .refused(.truncated, .allocationTableCorrupt)) {
            $0.fileLength = $0.build().end - (1 << 20)
        },
    ]

    /// An entry of a block that is not stored in the sound image.
    static func entry(
        _ name: String,
        _ value: UInt64,
        _ verdict: DamagedImage.Verdict = .refused(.allocationTableCorrupt),
        writable: DamagedImage.Verdict? = nil
    ) -> DamagedImage {
        DamagedImage("entry \(name)", verdict, writable: writable) { $0.entryOverrides[1] = value }
    }

    /// More bits in the entry of a block that is stored.
    static func present(
        _ name: String,
        _ bits: UInt64,
        _ verdict: DamagedImage.Verdict,
        writable: DamagedImage.Verdict
    ) -> DamagedImage {
        DamagedImage("entry present, \(name)", verdict, writable: writable) {
            $0.entryOverrides[2] = 6 | $0.offset(ofBlock: 2) | bits
        }
    }

    /// A place that a block which is not present can't have: it counts as none.
    static func anchor(_ name: String, _ value: UInt64) -> DamagedImage {
        DamagedImage("entry \(name)", .opens) {
            $0.entryOverrides[6] = value
            $0.blocks[6] = nil
        }
    }
}

extension VHDXBuilder {
    /// Adds a block of which every third sector is present.
    fileprivate mutating func addPartialBlock() {
        blocks[1] = Block(.partiallyPresent, present: (0..<2048).map { $0 % 3 == 1 })
        disk.store([UInt8](repeating: 0x71, count: 1 << 20), at: 1 << 20)
        order = nil
    }
}
