import BlockDevice
import TestSupport
import Testing
import VHDFormat

/// Whatever a crash leaves is sound: the check says more than that the image opens and shows the right bytes.
struct CheckCrashTests {
    @Test("A killed process leaves no damage", arguments: SeededGenerator.seeds(6), [1, 2])
    func killed(_ seed: UInt64, _ depth: Int) throws {
        let (session, _) = try CrashTests().session(seed, depth: depth)
        for count in 0...session.recording.operations.count {
            let report = try VHDImage.check(MemoryFile(session.recording.content(after: count)))
            #expect(report.count(.damaged) == 0, "after \(count) operations: \(report.lines)")
        }
    }

    @Test("A power cut damages at most the footer that was being written", arguments: SeededGenerator.seeds(6), [1, 2])
    func powerCut(_ seed: UInt64, _ depth: Int) throws {
        var (session, random) = try CrashTests().session(seed, depth: depth)
        for count in 0...session.recording.operations.count {
            for _ in 0..<3 {
                let state = session.recording.crashed(after: count, using: &random)
                let report = try VHDImage.check(MemoryFile(state))
                let damages = report.findings.filter { $0.severity == .damaged }
                #expect(
                    damages.count <= 1 && damages.allSatisfy { $0.text.hasPrefix("footer ") },
                    "after \(count) operations: \(report.lines)"
                )
            }
        }
    }
}
