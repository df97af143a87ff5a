import Glibc
import SystemPackage
import Testing

@testable import Platform

/// The processes that stay ready for the next file of the same caller: never for another's, and for no longer than `rest()`.
@Suite(.enabled(if: geteuid() == 0, "only root can open files with the rights of others"))
struct HelperReuseTests {
    let scratch: ScratchFolder

    init() throws {
        scratch = try ScratchFolder(mode: 0o755)
        // A file for each of four users, one for a group.
        for (name, user, group, mode) in [
            ("0", 4000, 1, 0o600), ("1", 4001, 1, 0o600), ("2", 4002, 1, 0o600), ("3", 4003, 1, 0o600),
            ("group", 0, 77, 0o640),
        ] as [(String, uid_t, gid_t, UInt32)] {
            let path = try scratch.file(name, [42], mode: mode)
            let given = unsafe chown(path.string, user, group)
            try #require(given == 0)
        }
    }

    @Test func eachKeepsToItsCaller() async throws {
        await #expect(processExitsWith: .success) { [folder = scratch.path.string as String] in
            let opener = try HelperOpener.start()
            let plain = Credentials(user: 4000, group: 1)
            let member = Credentials(user: 4000, group: 1, supplementaryGroups: [77])
            let grouped = Credentials(user: 4000, group: 77)
            let other = Credentials(user: 4001, group: 1)
            let group = FilePath(folder + "/group")
            for round in 0..<20 {
                #expect(throws: Never.self) { try opener.read(FilePath(folder + "/0"), as: plain) }
                #expect(throws: Never.self) { try opener.read(group, as: member) }
                #expect(throws: OpenError.failed(.permissionDenied)) { try opener.read(group, as: plain) }
                #expect(throws: Never.self) { try opener.read(group, as: grouped) }
                #expect(throws: OpenError.failed(.permissionDenied)) {
                    try opener.read(FilePath(folder + "/0"), as: other)
                }
                #expect(throws: Never.self) { try opener.read(group, as: root) }
                #expect(throws: OpenError.failed(.permissionDenied)) { try opener.read(group, as: other) }
                // One each, and no more for coming again.
                #expect(children(of: opener.processID).count == 5, "round \(round)")
            }
            opener.rest()
            #expect(settled(at: []) { children(of: opener.processID) } == [])
            #expect(throws: Never.self) { try opener.read(group, as: member) }
        }
    }

    /// What a user could find in a process that has that user's rights: nothing.
    @Test func aKeptProcessHasNothing() async throws {
        await #expect(processExitsWith: .success) { [folder = scratch.path.string as String] in
            let opener = try HelperOpener.start()
            let user = Credentials(user: 4000, group: 1, supplementaryGroups: [77, 78])
            // Others that are open, and kept, meanwhile.
            let own = try opener.read(FilePath(folder + "/0"), as: user)
            _ = try opener.read(FilePath(folder + "/1"), as: Credentials(user: 4001, group: 1))
            _ = try opener.read(FilePath(folder + "/group"), as: user)
            #expect(throws: OpenError.self) { try opener.read("/etc/shadow", as: user) }
            let kept = children(of: opener.processID)
            #expect(kept.count == 2)
            for id in kept {
                // What it has sent it closes a moment later.
                let isBare = eventually {
                    let found = (try? descriptors(of: id).filter { $0 != "/dev/null" }) ?? []
                    return found.count == 1 && found[0].hasPrefix("socket:")
                }
                #expect(isBare)
                let status = try FilePath("/proc/\(id)/status").contents(limit: 65536)
                let lines = String(decoding: status, as: UTF8.self).split(separator: "\n").map(String.init)
                for name in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
                    #expect(lines.contains("\(name):\t0000000000000000"))
                }
                let isFirst =
                    lines.contains("Uid:\t4000\t4000\t4000\t4000") && lines.contains { $0.hasPrefix("Groups:\t77 78") }
                #expect(isFirst || lines.contains("Uid:\t4001\t4001\t4001\t4001"))
                // Not that user's to trace: `/proc` shows such processes as root's.
                #expect(try FilePath("/proc/\(id)/mem").status().user == 0)
            }
            #expect(try own.bytes(at: 0, count: 1) == [42])
        }
    }

    /// Whoever it runs as may kill or stop it. That ends no more than it; the next open gets another, and a wait can be cancelled.
    @Test func itsUserMayHarmIt() async throws {
        await #expect(processExitsWith: .success) { [folder = scratch.path.string as String] in
            let opener = try HelperOpener.start()
            let user = Credentials(user: 4000, group: 1)
            let own = FilePath(folder + "/0")
            let before = held(in: folder)
            do {
                for signal in [SIGKILL, SIGTERM, SIGIO, SIGHUP, SIGUSR1] {
                    _ = try opener.read(own, as: user)
                    for id in children(of: opener.processID) { kill(id, signal) }
                    // At once, while it may still be dying, and later.
                    #expect(throws: Never.self) { try opener.read(own, as: user) }
                    usleep(20_000)
                    #expect(throws: Never.self) { try opener.read(own, as: user) }
                }
                let stopped = children(of: opener.processID)
                for id in stopped { kill(id, SIGSTOP) }
                let cancellation = try Cancellation()
                startThread("cancel") {
                    usleep(200_000)
                    cancellation.cancel()
                }
                #expect(throws: OpenError.cancelled) {
                    try opener.open(own, .reading(), as: user, cancellation: cancellation)
                }
                #expect(throws: Never.self) { try opener.read(own, as: user) }
                for id in stopped { kill(id, SIGCONT) }
                opener.rest()
            }
            #expect(settled(at: []) { children(of: opener.processID) } == [])
            #expect(settled(at: before) { held(in: folder) } == before)
        }
    }

    /// The kernel's signal for "there is something to read" must not be taken for our hanging up, however the two processes run.
    @Test func manyCallersComeAndRestAtOnce() async throws {
        await #expect(processExitsWith: .success) { [folder = scratch.path.string as String] in
            let opener = try HelperOpener.start()
            let before = held(in: folder)
            let failures = Monitor<(running: Int, texts: [String])>((6, []))
            for thread in 0..<6 {
                startThread("open") {
                    let number = thread % 4
                    // Long requests come in pieces, short ones at once.
                    let groups = thread < 3 ? [] : (0..<(thread == 5 ? 60000 : 10)).map { UInt32($0 + 100_000) }
                    let user = Credentials(user: 4000 + UInt32(number), group: 1, supplementaryGroups: groups)
                    for round in 0..<(thread == 5 ? 10 : 100) {
                        var text: String?
                        do {
                            let own = try opener.read(FilePath(folder + "/\(number)"), as: user)
                            if try own.path().lastComponent?.string != "\(number)" { text = "another's file" }
                        } catch {
                            text = "\(error)"
                        }
                        let others = try? opener.read(FilePath(folder + "/\((number + 1) % 4)"), as: user)
                        if others != nil { text = "another's rights" }
                        if let text { failures.update { $0.texts.append("\(thread), \(round): \(text)") } }
                        if round % 7 == thread { opener.rest() }
                    }
                    failures.update { $0.running -= 1 }
                }
            }
            let found = failures.wait(timeout: .seconds(300)) { $0.running == 0 ? $0.texts : nil }
            #expect(found == [])
            opener.rest()
            #expect(settled(at: []) { children(of: opener.processID) } == [])
            #expect(settled(at: before) { held(in: folder) } == before)
        }
    }

    /// Cancelled in any moment of its work, a process is not kept, and what it has opened too late is nobody's.
    @Test func cancelledAtAnyMoment() async throws {
        await #expect(processExitsWith: .success) { [folder = scratch.path.string as String] in
            let opener = try HelperOpener.start()
            let user = Credentials(user: 4000, group: 1)
            let path = FilePath(folder + "/0")
            _ = try opener.read(path, as: user)
            let before = held(in: folder).count
            var counts = (opened: 0, cancelled: 0)
            for round in 0..<150 {
                let cancellation = try Cancellation()
                startThread("cancel") {
                    usleep(UInt32(round * 7 % 300))
                    cancellation.cancel()
                }
                do throws(OpenError) {
                    _ = try opener.open(path, .reading(), as: user, cancellation: cancellation)
                    counts.opened += 1
                } catch {
                    #expect(error == .cancelled)
                    counts.cancelled += 1
                }
            }
            #expect(counts.cancelled > 0, "\(counts)")
            #expect(try opener.read(path, as: user).bytes(at: 0, count: 1) == [42])
            // Never two for one caller who asks one thing at a time.
            #expect(settled(at: 1) { children(of: opener.processID).count } == 1)
            #expect(settled(at: before) { held(in: folder).count } == before)
        }
    }
}
