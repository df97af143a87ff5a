import FileSystem
import Glibc
import Platform
import SystemPackage
import TestSupport
import Testing

@testable import FUSEServer

@Suite(.enabled(if: canMount, whyNot))
struct ConcurrencyTests {
    @Test(arguments: [20, WorkerPool.limit + 20])
    func `reads that hang do not stop others, and all is well after them`(count: Int) throws {
        let gate = Gate()
        let hung = (0..<count).map { number in
            MemoryNode(
                "hung\(number)",
                inode: UInt64(100 + number),
                content: [9],
                onRead: { () throws(Errno) in try gate.pass() }
            )
        }
        try withMount(hung + [MemoryNode("a", inode: 10, content: [1])]) { (mount) throws in
            defer { gate.open() }
            let results = Monitor<[[UInt8]]>([])
            for node in hung {
                startThread(node.name) {
                    let bytes = (try? mount.content(of: node.name)) ?? []
                    results.update { $0.append(bytes) }
                }
            }
            #expect(gate.waitForVisitors(min(count, WorkerPool.limit)))
            if count < WorkerPool.limit { #expect(try mount.content(of: "a") == [1]) }
            gate.open()
            #expect(results.wait(timeout: .seconds(20)) { $0.count == count ? true : nil } == true)
            #expect(results.update { $0 }.allSatisfy { $0 == [9] })
            #expect(try mount.content(of: "a") == [1])
            // The surplus workers have gone. Those who rest come back, or make room for others.
            #expect(eventually { mount.session.workerCount <= 8 })
            mount.session.cache.invalidate(NodeID(rawValue: 10), range: nil)
            for _ in 0..<200 { #expect(try mount.content(of: "a") == [1]) }
        }
    }

    @Test func `32 readers at once each get the right bytes`() throws {
        try withMount([MemoryNode("a", inode: 10, content: samples, caching: .direct)]) { mount in
            let file = try mount.open("a")
            defer { try? file.close() }
            let results = Monitor<[Bool]>([])
            for reader in 0..<32 {
                startThread("reader") {
                    var isRight = true
                    for round in 0..<20 {
                        let start = (reader * 37_813 + round * 61_001) % samples.count
                        let range = start..<min(start + 10_000 + reader, samples.count)
                        isRight = isRight && (try? file.bytes(in: range)) == Array(samples[range])
                    }
                    results.update { $0.append(isRight) }
                }
            }
            #expect(results.wait(timeout: .seconds(60)) { $0.count == 32 ? true : nil } == true)
            #expect(!results.update { $0 }.contains(false))
        }
    }

    @Test func `a signal interrupts a slow write while other requests go on`() throws {
        let node = MemoryNode(
            "ctl",
            inode: 10,
            content: [0],
            caching: .stream,
            isSlow: true,
            onWrite: { interruption throws(Errno) in
                let isRaised = Monitor(false)
                interruption.observe { isRaised.update { $0 = true } }
                if isRaised.wait(timeout: .seconds(30), until: { $0 ? true : nil }) == nil { throw .timedOut }
                throw .interrupted
            }
        )
        try withMount([node, MemoryNode("a", inode: 11, content: [1])]) { mount in
            var action = sigaction()
            unsafe action.__sigaction_handler.sa_handler = { _ in }
            unsafe sigaction(SIGUSR2, &action, nil)
            let file = try mount.open("ctl", .writeOnly)
            defer { try? file.close() }
            let writer = Monitor<pthread_t?>(nil)
            let outcome = Monitor<(Int, Int32)?>(nil)
            startThread("writer") {
                // The test's own thread blocks all signals, and threads inherit that.
                var signals = sigset_t()
                unsafe sigemptyset(&signals)
                unsafe sigaddset(&signals, SIGUSR2)
                unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
                writer.update { $0 = pthread_self() }
                let count = unsafe Glibc.write(file.rawValue, "x", 1)
                let error = errno
                outcome.update { $0 = (count, error) }
                // Signals may come until the test says that it has seen the outcome.
                _ = writer.wait(timeout: .seconds(30)) { $0 == nil ? true : nil }
            }
            let thread = try #require(writer.wait(timeout: .seconds(20)) { $0 })
            #expect(try mount.content(of: "a") == [1])
            var found: (Int, Int32)?
            for _ in 0..<2000 where found == nil {
                pthread_kill(thread, SIGUSR2)
                found = outcome.wait(timeout: .milliseconds(10)) { $0 }
            }
            writer.update { $0 = nil }
            #expect(found?.0 == -1)
            #expect(found?.1 == EINTR)
            #expect(try mount.content(of: "a") == [1])
        }
    }

    @Test func `slow writes hold up no worker, however many there are`() throws {
        let gate = Gate()
        let node = MemoryNode(
            "ctl",
            inode: 10,
            caching: .stream,
            isSlow: true,
            isFreshAtEachLookup: true,
            onWrite: { (_) throws(Errno) in try gate.pass() }
        )
        try withMount([node, MemoryNode("a", inode: 11, content: [1])]) { (mount) throws in
            defer { gate.open() }
            let results = Monitor(0)
            for _ in 0..<80 {
                startThread("writer") {
                    guard let file = try? mount.open("ctl", .writeOnly) else { return }
                    let count = try? file.writeAll([1, 2, 3])
                    try? file.close()
                    results.update { $0 += count ?? 0 }
                }
            }
            #expect(gate.waitForVisitors(80))
            #expect(try mount.content(of: "a") == [1])
            gate.open()
            #expect(results.wait(timeout: .seconds(20)) { $0 == 240 ? true : nil } == true)
            let releases = { mount.tree.calls.filter { $0 == "release" }.count }
            #expect(eventually { releases() >= 81 })
            #expect(releases() == 81, "opens: \(mount.tree.calls.filter { $0.hasPrefix("open") }.count)")
            #expect(mount.tree.calls.filter { $0 == "flush" }.count >= 81)
        }
    }

    /// Programs that are signalled often (Go's, profiled ones) interrupt their reads all the time; nothing may be kept of that.
    @Test(.disabled(if: BuiltProgram.watchesItself, "sanitizers need memory of their own"))
    func `interrupted reads cost no memory`() async {
        await #expect(processExitsWith: .success) {
            let node = MemoryNode("a", inode: 10, content: [1], caching: .direct, onRead: { usleep(300) })
            try withMount([node]) { mount in
                var action = sigaction()
                unsafe action.__sigaction_handler.sa_handler = { _ in }
                action.sa_flags = SA_RESTART
                unsafe sigaction(SIGUSR2, &action, nil)
                let file = try mount.open("a")
                defer { try? file.close() }
                let reader = Monitor((thread: pthread_t?.none, rounds: 0))
                startThread("reader") {
                    var signals = sigset_t()
                    unsafe sigemptyset(&signals)
                    unsafe sigaddset(&signals, SIGUSR2)
                    unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
                    reader.update { $0.thread = pthread_self() }
                    for _ in 0..<16000 {
                        _ = try? file.bytes(in: 0..<1)
                        reader.update { $0.rounds += 1 }
                    }
                    // The signals go to this thread until it is seen that it is done.
                    _ = reader.wait(timeout: .seconds(60)) { $0.thread == nil ? true : nil }
                }
                let thread = try #require(reader.wait(timeout: .seconds(20)) { $0.thread })
                var early = 0
                while true {
                    pthread_kill(thread, SIGUSR2)
                    usleep(50)
                    let rounds = reader.update { $0.rounds }
                    if rounds >= 4000, early == 0 { early = try Self.anonymousMemory() }
                    if rounds == 16000 { break }
                }
                let grown = try Self.anonymousMemory() - early
                reader.update { $0.thread = nil }
                #expect(grown < 500_000, "\(grown) bytes more")
            }
        }
    }

    /// Bytes of this process that no file backs.
    private static func anonymousMemory() throws -> Int {
        let status = try FileDescriptor.open(FilePath("/proc/self/status"), .readOnly)
        defer { try? status.close() }
        let lines = String(decoding: try status.bytes(in: 0..<4096), as: UTF8.self).split(separator: "\n")
        let line = try #require(lines.first { $0.hasPrefix("RssAnon:") })
        return 1024 * (try #require(line.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) }))
    }
}
