import Glibc
import TestSupport
import Testing

/// Random operations of all kinds on a disk and its partitions, each compared with bytes in memory, and at the end with what QEMU reads; after the
/// idea of `fsx`. `VHDFS_TEST_SEEDS` makes more rounds.
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(120)))
struct RandomOperationMountTests {
    private static let seeds: Int = {
        guard let text = unsafe getenv("VHDFS_TEST_SEEDS") else { return 1 }
        return unsafe Int(String(cString: text)) ?? 1
    }()

    private func check(_ parameters: String, _ script: String) throws {
        try withMount { mount in
            try mount.python(
                parameters + "\n" + RandomOperationScript.exerciser + script,
                timeout: .seconds(120 + 120 * Self.seeds)
            )
        }
    }

    /// On `disk`, on `p1` and `p2`, and on all three at once.
    @Test(arguments: ["disk", "partitions", "mixed"])
    func filesOfADisk(_ mode: String) throws {
        try check("MODE, SEEDS, ROUNDS = '\(mode)', \(Self.seeds), 200", RandomOperationScript.files)
    }

    @Test func aLoopDevice() throws {
        try check("SEED, ROUNDS = \(Self.seeds), 200", RandomOperationScript.loopDevice)
    }
}
