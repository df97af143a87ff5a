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
        let gate = WriteGate(patience: .milliseconds(20)) { _ in
            let _: Void? = mayAnswer.wait { $0 ? () : nil }
            return .harmless
        }
        for _ in 0..<3 {
            #expect(throws: DiskError.self) { try gate.pass() }
        }
        // Who looks for the reason of a refused write finds it.
        #expect(gate.refusal?.text.contains("break-children") == true)
        #expect(gate.takeNews())
        mayAnswer.update { $0 = true }
        var passes = false
        for _ in 0..<1000 where !passes {
            usleep(10_000)
            passes = (try? gate.pass()) != nil
        }
        #expect(passes)
        #expect(gate.refusal == nil)
    }

    /// Files that can't be opened just now say nothing about children: such an answer must not open the gate for good.
    @Test func whatCouldNotBeFoundOutIsAskedAgain() throws {
        let answers = Locked<[WriteGate.Finding]>([
            .unknown(DiskError(.hasChildren, "full")), .unknown(DiskError(.hasChildren, "full")),
            .harmful(DiskError(.hasChildren, "child")),
        ])
        let gate = WriteGate { _ in answers.withLock { $0.removeFirst() } }
        for text in ["full", "full", "child", "child"] {
            do throws(DiskError) {
                try gate.pass()
                Issue.record("passed")
            } catch {
                #expect(error.text == text)
            }
            #expect(gate.refusal?.text == text)
        }
    }

    @Test func aReasonIsToldOnce() throws {
        for _ in 0..<500 {
            let gate = WriteGate { _ in .harmful(DiskError(.hasChildren, "no")) }
            var told = 0
            for _ in 0..<4 {
                #expect(throws: DiskError.self) { try gate.pass() }
                if gate.takeNews() { told += 1 }
            }
            #expect(told == 1)
        }
    }

    @Test func theSearchEndsWithTheAttachment() throws {
        let isOver = Monitor(false)
        let gate = WriteGate(patience: .milliseconds(20)) { cancellation in
            for _ in 0..<1000 where cancellation?.isCancelled != true { usleep(10_000) }
            isOver.update { $0 = cancellation?.isCancelled == true }
            return .harmless
        }
        #expect(throws: DiskError.self) { try gate.pass() }
        gate.end()
        #expect(isOver.wait(timeout: .seconds(20)) { $0 ? true : nil } == true)
    }

    @Test func theQuestionIsAskedOnceAndByAllWaitedFor() throws {
        let asked = Locked(0)
        let gate = WriteGate { _ in
            asked.withLock { $0 += 1 }
            usleep(50_000)
            return .harmful(DiskError(.hasChildren, "no"))
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
