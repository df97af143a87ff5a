import BlockDevice
import TestSupport
import Testing

/// Every kind of VHD keeps the promises of a block device, also after it was opened again.
struct ConformanceTests {
    static let kinds: [(name: String, depth: Int)] = [("fixed", 0), ("dynamic", 1), ("child", 2), ("chain of 5", 5)]

    func chain(_ depth: Int, seed: UInt64) -> ChainBuilder {
        var random = SeededGenerator(seed: seed)
        var chain = ChainBuilder(depth: max(depth, 1), size: 400_000, blockSizes: .writable, using: &random)
        if depth == 0 {
            chain.layers = [VHDBuilder.random(.fixed, size: 400_000, blockSizes: .writable, using: &random)]
        }
        return chain
    }

    @Test(arguments: kinds.map(\.depth), [1, 2, 3] as [UInt64])
    func readOnly(_ depth: Int, _ seed: UInt64) throws {
        let chain = chain(depth, seed: seed)
        let files = chain.files()
        let before = files.map(\.content)
        let disk = try OpenDisk(files, writable: false)
        #expect(disk.device.isReadOnly)
        try checkConformance(of: disk.device, showing: chain.shown)
        try disk.finish()
        #expect(files.map(\.content) == before)
    }

    @Test(arguments: kinds.map(\.depth), [1, 2, 3] as [UInt64])
    func writable(_ depth: Int, _ seed: UInt64) throws {
        let chain = chain(depth, seed: seed)
        let files = chain.files()
        let disk = try OpenDisk(files, writable: true)
        let expected = try checkConformance(of: disk.device, showing: chain.shown)
        try disk.finish()
        try DiskModel(expected).check(OpenDisk(files, writable: false).device)
        if depth > 0 {
            let reference = try ReferenceVHD(files[0].content)
            #expect(reference.shown(over: chain.shownBelow) == expected)
            #expect(reference.footersAgree)
        }
        try checkConformance(of: OpenDisk(files, writable: true).device, showing: expected)
    }
}
