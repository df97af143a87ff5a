import BlockDevice
import TestSupport
import Testing

/// Every kind of VHDX keeps the promises of a block device that is read.
struct ReadingConformanceTests {
    @Test(arguments: VHDXBuilder.Subtype.allCases, [false, true])
    func readOnly(_ subtype: VHDXBuilder.Subtype, _ isDirty: Bool) throws {
        for sector in [512, 4096] as [UInt32] { try check(subtype, sector, isDirty) }
    }

    private func check(_ subtype: VHDXBuilder.Subtype, _ sector: UInt32, _ isDirty: Bool) throws {
        var random = SeededGenerator(seed: UInt64(sector))
        var layers = [
            VHDXBuilder.random(
                subtype,
                size: 5 << 20,
                blockSizes: .small,
                logicalSectorSize: sector,
                using: &random
            )
        ]
        if subtype == .differencing {
            let parent = VHDXBuilder.random(
                .dynamic,
                size: 4 << 20,
                blockSizes: .small,
                logicalSectorSize: sector,
                using: &random
            )
            layers[0].setParent(parent, file: "parent.vhdx")
            layers.append(parent)
        }
        if isDirty { layers[0].hideEverything(using: &random) }
        let files = layers.map { MemoryFile($0.build().content) }
        let before = files.map(\.content)
        let shown = layers.reversed().reduce(nil as SparseBytes?) { $1.shown(over: $0) } ?? SparseBytes()
        let disk = try OpenDisk(files, writable: false)
        #expect(disk.device.isReadOnly)
        try checkConformance(of: disk.device, showing: shown)
        try disk.finish()
        #expect(files.map(\.content) == before)
    }
}
