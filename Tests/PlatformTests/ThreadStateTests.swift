import Glibc
import SystemPackage
import Testing

@testable import Platform

@Suite struct ThreadStateTests {
    private func status(pending: String = "0", shared: String = "0", caught: String = "0", ignored: String = "0")
        -> String
    {
        """
        Name:\tstate: R (x)
        State:\tD (disk sleep)
        SigPnd:\t\(pending)
        ShdPnd:\t\(shared)
        SigBlk:\t0000000000000002
        SigIgn:\t\(ignored)
        SigCgt:\t\(caught)
        voluntary_ctxt_switches:\t40
        nonvoluntary_ctxt_switches:\t2

        """
    }

    /// SIGKILL is bit 8, SIGTERM bit 14, SIGINT bit 1, SIGCHLD bit 16.
    @Test func readsWhatTheKernelTells() throws {
        let calm = try #require(ThreadState(processStatus: status()))
        #expect(!calm.isRunning && calm.switches == 42 && !calm.isDying)
        #expect(ThreadState(processStatus: status(pending: "0000000000000100"))?.isDying == true)
        #expect(ThreadState(processStatus: status(shared: "4000"))?.isDying == true)
        #expect(ThreadState(processStatus: status(shared: "4000", caught: "4000"))?.isDying == false)
        #expect(ThreadState(processStatus: status(shared: "4000", ignored: "4000"))?.isDying == false)
        // Blocked, and one that ends nobody.
        #expect(ThreadState(processStatus: status(shared: "2"))?.isDying == false)
        #expect(ThreadState(processStatus: status(shared: "10000"))?.isDying == false)
        #expect(ThreadState(processStatus: "State:\tR (running)\n") == nil)
        #expect(throws: Errno.noSuchProcess) { try ThreadState(0) }
        #expect(throws: Errno.noSuchProcess) { try ThreadState(.max) }
    }

    @Test func whoSleepsInOneCallDoesNotMove() throws {
        let number = Monitor<Int32?>(nil)
        startThread("test") {
            number.update { $0 = ThreadState.ownThread }
            sleep(3)
            number.update { $0 = nil }
        }
        let thread = try #require(number.wait(timeout: .seconds(20)) { $0 })
        usleep(200_000)
        let first = try ThreadState(thread)
        usleep(500_000)
        #expect(try ThreadState(thread) == first && !first.isRunning && !first.isDying)
        #expect(try ThreadState(ThreadState.ownThread).isRunning)
        #expect(number.wait(timeout: .seconds(20)) { $0 == nil ? true : nil } == true)
    }

    @Test func patienceEndsWithTheThreadsStandingStill() {
        #expect(runPatiently("test", limit: nil) { 1 } == 1)
        #expect(runPatiently("test", limit: .seconds(1)) { 2 } == 2)
        // It sleeps for longer than the limit, but not at once.
        let busy: Int? = runPatiently("test", limit: .seconds(1)) {
            for _ in 0..<50 { usleep(50_000) }
            return 3
        }
        #expect(busy == 3)
        let still: Int? = runPatiently("test", limit: .milliseconds(500)) {
            sleep(4)
            return 4
        }
        #expect(still == nil)
    }
}
