import FileSystem
import Glibc
import Platform
import SystemPackage
import TestSupport
import Testing

@testable import FUSEServer

/// Requests that get nowhere are answered all the same.
@Suite(.enabled(if: canMount, whyNot), .timeLimit(.minutes(10)))
struct PatienceTests {
    @Test func `whoever waits for a host that does nothing is sent away`() throws {
        let gate = Gate()
        let count = WorkerPool.limit + 20
        let hung = (0..<count).map { number in
            MemoryNode(
                "hung\(number)",
                inode: UInt64(100 + number),
                content: [9],
                // With pages the kernel asks once more when its read-ahead has failed.
                caching: .direct,
                onRead: { () throws(Errno) in try gate.pass() }
            )
        }
        try withMount(hung + [MemoryNode("a", inode: 10, content: [1])], patience: .seconds(2)) { (mount) throws in
            defer { gate.open() }
            let results = Monitor<[Errno?]>([])
            for node in hung {
                startThread(node.name) {
                    var failure: Errno?
                    do { _ = try mount.content(of: node.name) } catch { failure = error as? Errno }
                    results.update { $0.append(failure) }
                }
            }
            #expect(results.wait(timeout: .seconds(25)) { $0.count == count ? true : nil } == true)
            #expect(results.update { $0 }.allSatisfy { $0 == .timedOut })
            // Nothing has come back, and there are workers all the same.
            #expect(try mount.content(of: "a") == [1])
            #expect(mount.tree.calls.filter { $0 == "left 7 changing=false" }.count == count)
            #expect(!mount.tree.calls.contains { $0.hasPrefix("returned") })
            gate.open()
            #expect(eventually { mount.tree.calls.filter { $0 == "returned 7 changing=false" }.count == count })
            #expect(eventually { mount.session.workerCount <= 8 })
            #expect(try mount.content(of: hung[0].name) == [9])
        }
    }

    /// Who has been sent away may close the file, in which the worker still is.
    @Test func `a file that is closed stays as long as somebody is in it`() throws {
        let gate = Gate()
        let node = MemoryNode(
            "x",
            inode: 20,
            content: [1],
            caching: .direct,
            onRead: { () throws(Errno) in try gate.pass() }
        )
        try withMount([node], patience: .seconds(1)) { (mount) throws in
            defer { gate.open() }
            #expect(throws: Errno.timedOut) { try mount.content(of: "x") }
            #expect(eventually { mount.tree.calls.contains("release") })
            usleep(200_000)
            #expect(!mount.tree.calls.contains("gone"))
            gate.open()
            #expect(eventually { mount.tree.calls.contains("gone") })
        }
    }

    /// The tree hears of a write that is left behind before the writer does.
    @Test func `a write that is left behind is announced`() throws {
        let gate = Gate()
        let node = MemoryNode("x", inode: 20, onWrite: { (_) throws(Errno) in try gate.pass() })
        try withMount([node], patience: .seconds(1)) { (mount) throws in
            defer { gate.open() }
            let file = try mount.open("x", .writeOnly)
            #expect(throws: Errno.timedOut) { try file.writeAll([1]) }
            #expect(mount.tree.calls.contains("left 7 changing=true"))
            gate.open()
            #expect(eventually { mount.tree.calls.contains("returned 7 changing=true") })
            #expect(try file.writeAll([1]) == 1)
            try file.close()
        }
    }

    /// Storing gigabytes takes minutes, and who has to wait for that waits too.
    @Test func `what gets on may take its time`() throws {
        let gate = Gate()
        let slow = MemoryNode(
            "slow",
            inode: 20,
            onSynchronize: {
                for _ in 0..<160 { usleep(50_000) }
                gate.open()
            }
        )
        let behind = MemoryNode("behind", inode: 21, onWrite: { (_) throws(Errno) in try gate.pass() })
        try withMount([slow, behind], patience: .seconds(1)) { (mount) throws in
            let written = Monitor<Int?>(nil)
            startThread("writer") {
                let file = try? mount.open("behind", .writeOnly)
                let count = try? file?.writeAll([1, 2])
                try? file?.close()
                written.update { $0 = count ?? -1 }
            }
            let file = try mount.open("slow", .writeOnly)
            #expect(fsync(file.rawValue) == 0)
            try file.close()
            #expect(written.wait(timeout: .seconds(10)) { $0 } == 2)
            #expect(!mount.tree.calls.contains { $0.hasPrefix("left") })
        }
    }

    /// Whoever comes later does not keep those from being sent away who came before.
    @Test func `newcomers do not make others wait`() throws {
        // Unlike a gate, it wakes nobody when another comes.
        let (exit, entrance) = try FileDescriptor.pipe()
        defer { try? exit.close() }
        let hang: @Sendable () -> Void = {
            var byte: UInt8 = 0
            _ = unsafe read(exit.rawValue, &byte, 1)
        }
        let hung = (0..<12).map { number in
            MemoryNode(
                "hung\(number)",
                inode: UInt64(100 + number),
                content: [9],
                caching: .direct,
                onSynchronize: hang
            )
        }
        try withMount(hung, patience: .milliseconds(400)) { (mount) throws in
            defer { try? entrance.close() }
            let waits = Monitor<[Duration]>([])
            for node in hung {
                startThread(node.name) {
                    let start = ContinuousClock.now
                    guard let file = try? mount.open(node.name) else { return }
                    let outcome = fsync(file.rawValue)
                    try? file.close()
                    waits.update { $0.append(outcome == 0 ? .zero : .now - start) }
                }
                usleep(500_000)
            }
            #expect(waits.wait(timeout: .seconds(20)) { $0.count == hung.count ? true : nil } == true)
            // Five times as long for what may have to store much, and a second each for looks.
            #expect(waits.update { $0 }.allSatisfy { $0 > .seconds(1) && $0 < .seconds(5) }, "\(waits.update { $0 })")
        }
    }
}
