import BlockDevice
import TestSupport
import Testing

/// Every kind of VHDX keeps the promises of a block device that is written to, also after it was opened again.
struct WritingConformanceTests {
    func chain(_ depth: Int, seed: UInt64) -> ChainBuilder {
        var random = SeededGenerator(seed: seed)
        var chain = ChainBuilder(depth: max(depth, 1), size: 2_500_000, blockSizes: .small, using: &random)
        if depth == 0 { chain.layers = [.random(.fixed, size: 2_500_000, blockSizes: .small, using: &random)] }
        return chain
    }

    @Test(arguments: [0, 1, 2, 4], [1, 2] as [UInt64])
    func writable(_ depth: Int, _ seed: UInt64) throws {
        let chain = chain(depth, seed: seed)
        let files = chain.files()
        let disk = try OpenDisk(files, writable: true)
        let expected = try checkConformance(of: disk.device, showing: chain.shown)
        try disk.finish()
        try DiskModel(expected).check(OpenDisk(files, writable: false).device)
        let reference = try ReferenceVHDX(files[0].content)
        #expect(reference.shown(over: chain.shownBelow) == expected)
        #expect(reference.headersAgree && reference.logIsEmpty && reference.regionTablesAgree)
        try checkConformance(of: OpenDisk(files, writable: true).device, showing: expected)
    }

    /// Sync after sync in one session, and session after session in one file: the log wraps many times.
    @Test(arguments: SeededGenerator.seeds(3), [1, 2, 3])
    func longWork(_ seed: UInt64, _ depth: Int) throws {
        var random = SeededGenerator(seed: seed)
        let chain = ChainBuilder(depth: depth, size: 6 << 20, blockSizes: .small, using: &random)
        let files = chain.files()
        var model = DiskModel(chain.shown)
        for session in 0..<3 {
            let disk = try OpenDisk(files, writable: true)
            for _ in 0..<100 {
                try model.perform(model.randomStep(longest: 9000, using: &random), on: disk.device)
                if UInt8.random(in: 0..<3, using: &random) == 0 { try disk.device.synchronize() }
            }
            if session < 2 { try disk.finish() } else { try disk.device.synchronize() }
            let reference = try ReferenceVHDX(files[0].content)
            if session < 2 { #expect(reference.logIsEmpty) }
            let shown = reference.shown(over: chain.shownBelow)
            #expect(shown.firstDifference(from: model.bytes) == nil)
        }
        try model.check(OpenDisk(files, writable: false).device)
    }
}
