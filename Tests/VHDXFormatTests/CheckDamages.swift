import ByteIO
import TestSupport
import Testing

/// A file with one damage, and words that the finding about it has.
struct Damage: CustomTestStringConvertible {
    var name: String
    var content: SparseBytes
    var mentions: [String]

    var testDescription: String { name }

    private init(
        _ name: String,
        _ mentions: String...,
        of builder: VHDXBuilder = CheckTests.dynamic,
        change: (inout VHDXBuilder) -> Void
    ) {
        var builder = builder
        change(&builder)
        (self.name, self.content, self.mentions) = (name, builder.build().content, mentions)
    }

    static var all: [Damage] { headers + logs + regions + metadata + entries + chunks }

    private static var headers: [Damage] {
        [
            Damage("identifier", "file identifier at offset 0", "vhdxfile") { $0.edit(.file, at: 0, [0]) },
            Damage("both headers", "headers: neither") {
                $0.edit(.header1, .header2, at: 4, UInt32(7), fixesChecksum: false)
            },
            Damage("equal numbers", "sequence number 8") {
                $0.sequences = (8, 8); $0.edit(.header1, at: 16, [1])
            },
        ]
    }

    private static var logs: [Damage] {
        let guid = [UInt8](repeating: 9, count: 16)
        return [
            Damage("no entries", "log at offset 1048576", "no complete sequence") { $0.logGUID = guid },
            Damage("entry checksum", "no complete sequence") {
                $0.logGUID = guid
                $0.logEntries = [.init(1)]
                $0.logEntries[0].edit(at: 4, littleEndian(UInt32(7)), fixesChecksum: false)
            },
            Damage("log outside", "the log is at offset \(1 << 40)") {
                $0.edit(.header1, .header2, at: 72, UInt64(1 << 40))
            },
            Damage("log outside, not empty", "the log is at offset \(1 << 40)") {
                $0.logGUID = guid
                $0.edit(.header1, .header2, at: 72, UInt64(1 << 40))
            },
            Damage("file too short for the log", "now it has \(8 << 20)") {
                $0.logGUID = guid
                $0.logEntries = [.init(1)]
                $0.logEntries[0].flushedFileOffset = 9 << 20
            },
            Damage("entry changes the headers", "offset 65536") {
                $0.logGUID = guid
                $0.logEntries = [.init(1, [.zero(offset: 64 << 10, length: 4096)])]
            },
            Damage("log on a region", "overlaps", "log") { $0.edit(.header1, .header2, at: 72, UInt64(2 << 20)) },
        ]
    }

    private static var regions: [Damage] {
        [
            Damage("region table 1 checksum", "region table 1 at offset 196608", "checksum is 0x7,") {
                $0.edit(.regions1, at: 4, UInt32(7), fixesChecksum: false)
            },
            Damage("region table 2 signature", "region table 2 at offset 262144", "'regi' is missing") {
                $0.edit(.regions2, at: 0, [0])
            },
            Damage("region tables differ", "region table 2 at offset 262144", "differs") {
                $0.edit(.regions2, at: 60_000, [1])
            },
            Damage("both region tables", "region tables: neither") {
                $0.edit(.regions1, .regions2, at: 4, UInt32(7), fixesChecksum: false)
            },
            Damage("region outside", "region table: region") {
                $0.fileLength = 8 << 20
                $0.extraRegions = [
                    .init(
                        guid: guidBytes("11111111-1111-1111-1111-111111111111"),
                        offset: 1 << 40,
                        length: 1 << 20,
                        flags: 0
                    )
                ]
                $0.payloadOffset = 4 << 20
            },
            Damage("region on a block", "region at offset \(5 << 20)", "overlaps") {
                $0.extraRegions = [
                    .init(
                        guid: guidBytes("11111111-1111-1111-1111-111111111111"),
                        offset: 5 << 20,
                        length: 1 << 20,
                        flags: 0
                    )
                ]
                $0.payloadOffset = 4 << 20
                $0.blocks = [1: .full]
                $0.blocks[1]?.offset = 5 << 20
            },
        ]
    }

    private static var metadata: [Damage] {
        [
            Damage("metadata signature", "metadata table at offset \(2 << 20)") { $0.edit(.metadata, at: 0, [0]) },
            Damage("missing item", "'virtual disk size' is missing") { builder in
                builder.items = builder.standardItems.filter { $0.guid != VHDXBuilder.ItemID.virtualDiskSize }
            },
            Damage("size 0", "virtual disk size is 0") { builder in
                var items = builder.standardItems
                for index in items.indices where items[index].guid == VHDXBuilder.ItemID.virtualDiskSize {
                    items[index].bytes = littleEndian(UInt64(0))
                }
                builder.items = items
            },
            Damage("never finished", "never finished") {
                $0.extraItems = [.init(VHDXBuilder.ItemID.incompleteFile, flags: 4, [1])]
            },
            Damage("no linkage", "'parent_linkage'", of: CheckTests.child) { $0.parentPairs.removeFirst(2) },
            Damage("table too short", "has 1048576 bytes") {
                $0.size = 1 << 40; $0.tableLength = 1 << 20
            },
        ]
    }

    private static var entries: [Damage] {
        let table = 3 << 20
        return [
            Damage("state 4", "entry 4 at offset \(table + 32)", "state 4") { $0.entryOverrides[4] = 4 },
            Damage("state 5", "entry 4 at", "state 5") { $0.entryOverrides[4] = 5 },
            Damage("state 7 without parent", "entry 4 at", "0xA00007", "no parent") {
                $0.entryOverrides[4] = 7 | 10 << 20
            },
            Damage("reserved bits", "entry 1 at offset \(table + 8)", "reserved") {
                $0.entryOverrides[1] = 6 | 5 << 20 | 8
            },
            Damage("block on the headers", "block 4 at offset 0", "overlaps") { $0.entryOverrides[4] = 6 },
            Damage("block on the log", "offset \(1 << 20)", "log", "block 4") { $0.entryOverrides[4] = 6 | 1 << 20 },
            Damage("block on the table", "offset \(3 << 20)", "table", "block 4") {
                $0.entryOverrides[4] = 6 | 3 << 20
            },
            Damage("blocks equal", "offset \(5 << 20)", "block 1", "block 4") { $0.entryOverrides[4] = 6 | 5 << 20 },
            Damage("block behind the file", "entry 4 at", "offset \(8 << 20)") { $0.entryOverrides[4] = 6 | 8 << 20 },
            Damage("block far behind the file", "entry 4 at", "0xFFFFFFFFFFF00006") {
                $0.entryOverrides[4] = .max << 20 | 6
            },
            Damage("file cut", "entry 3 at", "offset \(7 << 20)") { $0.fileLength = (8 << 20) - 512 },
        ]
    }

    private static var chunks: [Damage] {
        // 4,096 blocks of 1 MiB make a chunk: its bitmap's entry comes behind them.
        [
            Damage("no bitmap", "entry 4096 at", "chunk 0", of: CheckTests.child) { $0.entryOverrides[4096] = 0 },
            Damage("bitmap state 7", "entry 4096 at", "state 7", of: CheckTests.child) {
                // No block needs it, so that nothing else is wrong.
                $0.blocks[1] = .full
                $0.entryOverrides[4096] = 7 | 5 << 20
            },
            Damage("bitmap on a block", "overlaps", "bitmap", of: CheckTests.child) {
                $0.entryOverrides[4096] = 6 | 5 << 20
            },
            Damage("bitmap behind the file", "entry 4096 at", of: CheckTests.child) {
                $0.entryOverrides[4096] = 6 | 100 << 20
            },
        ]
    }
}
