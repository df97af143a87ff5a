import BlockDevice
import Glibc
import Platform
import TestSupport
import Testing

@testable import VirtualDisk

/// The question before the first write may take long, where file servers are slow or dead; a writer does not wait for ever.
struct WriteGateTests {
    @Test func aLateAnswerCountsWhenItComes() throws {
        let mayAnswer = Monitor(false)
        let gate = WriteGate(patience: .milliseconds(20)) {
            let _: Void? = mayAnswer.wait { $0 ? () : nil }
            return nil
        }
        for _ in 0..<3 {
            #expect(throws: DiskError.self) { try gate.pass() }
        }
        #expect(gate.refusal == nil)
        mayAnswer.update { $0 = true }
        var passes = false
        for _ in 0..<1000 where !passes {
            usleep(10_000)
            passes = (try? gate.pass()) != nil
        }
        #expect(passes)
    }

    @Test func theQuestionIsAskedOnceAndByAllWaitedFor() throws {
        let asked = Locked(0)
        let gate = WriteGate {
            asked.withLock { $0 += 1 }
            usleep(50_000)
            return DiskError(.hasChildren, "no")
        }
        try inParallel(4) { _ in
            do throws(DiskError) {
                try gate.pass()
                Issue.record("passed")
            } catch {
                #expect(error.text == "no")
            }
        }
        #expect(asked.withLock { $0 } == 1)
        #expect(gate.refusal?.text == "no")
    }
}
