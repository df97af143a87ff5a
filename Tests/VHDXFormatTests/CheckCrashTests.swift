import BlockDevice
import TestSupport
import Testing
import VHDXFormat

/// Whatever a crash leaves is sound: the check says more than that the image opens and shows the right bytes.
struct CheckCrashTests {
    @Test("A killed process leaves no damage", arguments: SeededGenerator.seeds(3), [1, 2])
    func killed(_ seed: UInt64, _ depth: Int) throws {
        var random = SeededGenerator(seed: seed)
        let session = try session(depth, using: &random)
        for count in 0...session.recording.operations.count {
            let report = try VHDXImage.check(MemoryFile(session.recording.content(after: count)))
            #expect(report.count(.damaged) == 0, "after \(count) operations: \(report.lines)")
        }
    }

    @Test(
        "A power cut leaves no damage, and at most a header half written",
        arguments: SeededGenerator.seeds(3),
        [1, 2]
    )
    func powerCut(_ seed: UInt64, _ depth: Int) throws {
        var random = SeededGenerator(seed: seed)
        let session = try session(depth, using: &random)
        for count in 0...session.recording.operations.count {
            for _ in 0..<3 {
                let state = session.recording.crashed(after: count, using: &random)
                let report = try VHDXImage.check(MemoryFile(state))
                #expect(report.count(.damaged) == 0, "after \(count) operations: \(report.lines)")
            }
        }
    }

    private func session(_ depth: Int, using random: inout SeededGenerator) throws -> CrashSession {
        let chain = ChainBuilder(depth: depth, size: 3 << 20, blockSizes: [1 << 20], using: &random)
        return try CrashSession(chain, steps: 16, using: &random)
    }
}
