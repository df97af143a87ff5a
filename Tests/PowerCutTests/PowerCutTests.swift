import Glibc
import TestSupport
import Testing

/// The power goes at any moment while programs work on a mounted disk: what is on the medium then opens, holds every byte that was
/// durable, and for every other byte an old or a new value (docs/reliability.md).
///
/// `VHDFS_POWERCUT_STATES` asks for so many states of each kind of disk, for a long run (`make powercut`).
@Suite(.enabled(if: canMount, needsRoot))
struct PowerCutTests {
    private static let wanted = unsafe getenv("VHDFS_POWERCUT_STATES").flatMap { unsafe Int(String(cString: $0)) }

    /// How often a state is looked at in each way.
    struct Share {
        /// Chances for each moment, besides "all of it has arrived".
        var chances: Int
        /// One state of so many is also opened for writing.
        var recovery: Int
        /// One state of so many is also shown to other programs.
        var others: Int
    }

    @Test("A power cut on a mounted disk loses nothing that was durable", arguments: DiskKind.allCases)
    func powerCut(_ kind: DiskKind) throws {
        var states = 0
        var promises = 0
        let share =
            Self.wanted == nil
            ? Share(chances: 2, recovery: 40, others: 300) : Share(chances: 4, recovery: 40, others: 500)
        var seed: UInt64 = 0
        repeat {
            seed += 1
            var random = SeededGenerator(seed: seed)
            try note("seed \(seed)") {
                let session = try Session(kind, steps: Self.wanted == nil ? 16 : 40, using: &random)
                promises += session.diary.promiseCount
                states += try check(session, share, using: &random)
            }
        } while states < Self.wanted ?? 0
        if Self.wanted != nil {
            print("\(kind): \(states) states, \(promises) promises of durability, \(seed) sessions")
        }
        #expect(states > 100)
    }

    /// Every moment of a session: what a killed process leaves, and what a power cut may leave. Returns how many states there were.
    private func check(_ session: Session, _ share: Share, using random: inout SeededGenerator) throws -> Int {
        let (recording, judge) = (session.recording, try Judge(session))
        var base = recording.base
        var states = 0
        for count in 0...recording.operations.count {
            recording.advance(&base, to: count)
            let allowed = session.allowed(after: count)
            for chance in 0...share.chances {
                let sample = random
                let state =
                    chance == 0
                    ? recording.crashed(after: count, on: base, keepsLength: { _ in true }, keeps: { _, _ in true })
                    : recording.crashed(after: count, on: base, using: &random)
                states += 1
                try note("after \(count) of \(recording.operations.count) operations, chance \(chance), \(sample)") {
                    try judge.check(state, allowed: allowed)
                    if states % share.recovery == 0 { try judge.checkRecovery(state, using: &random) }
                    if states % share.others == 0 { try judge.askOthers(state) }
                }
            }
        }
        return states
    }
}

/// Adds to an error where it happened.
private func note(_ place: @autoclosure () -> String, _ body: () throws -> Void) throws {
    do { try body() } catch { throw TestSupportError("\(place()): \(error)") }
}
