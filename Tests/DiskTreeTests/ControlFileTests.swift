import DiskTree
import FileSystem
import Platform
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// `ctl`: requests, answers, errors (CONTRACT.md §3.1, §3.2).
struct ControlFileTests {
    @Test func answersComeInOrderAndOnce() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            try scene.makeVHD("a.vhd")
            try scene.makeVHD("b.vhd")
            let control = try scene.control()
            #expect(try control.read(0..<100) == [])
            try control.write("attach \(scratch.path("a.vhd"))\nattach \(scratch.path("b.vhd")) readonly\n")
            #expect(throws: Errno.resourceBusy) { try control.write("attach \(scratch.path("a.vhd"))\n") }
            try control.write("detach b\n")
            #expect(
                try control.readLines() == [
                    "ok attach a /mount/attached/a", "ok attach b /mount/attached/b",
                    "error 32 ERROR_SHARING_VIOLATION \(scratch.path("a.vhd")): already attached as a", "ok detach b",
                ]
            )
            #expect(try control.readLines().isEmpty)
            try control.close()
        }
    }

    /// Shells read one byte a call.
    @Test func answersAreReadByteByByte() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            let control = try scene.control()
            try control.write("list\n")
            var bytes: [UInt8] = []
            while let byte = try control.read(0..<1).first { bytes.append(byte) }
            #expect(String(decoding: bytes, as: UTF8.self) == "ok list\n")
            try control.close()
        }
    }

    @Test func linesStopAtTheFirstFailure() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            try scene.makeVHD("a.vhd")
            try scene.makeVHD("b.vhd")
            let control = try scene.control()
            #expect(throws: Errno.noSuchFileOrDirectory) {
                try control.write(
                    "attach \(scratch.path("a.vhd"))\nattach /none.vhd\nattach \(scratch.path("b.vhd"))\nlist"
                )
            }
            #expect(try scene.names("attached") == ["a"])
            // The unfinished line went with the rest.
            try control.write("help\n")
            let lines = try control.readLines()
            #expect(lines.first == "ok attach a /mount/attached/a")
            #expect(lines.dropFirst().first == "error 2 ERROR_FILE_NOT_FOUND /none.vhd: no such file")
            #expect(lines.last == "ok help")
            try control.close()
        }
    }

    @Test func emptyLinesAndCommentsAreNoRequests() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            let control = try scene.control()
            try control.write("\n  \n# attach nothing\n\t# nor this\n")
            #expect(try control.readLines().isEmpty)
            try control.close()
        }
    }

    @Test(arguments: ["mount x", "attach", "detach", "list all", "attach /x frob", "attach /x ro ro", "attach 'x"])
    func wrongRequestsAreInvalid(_ request: String) throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            let control = try scene.control()
            #expect(throws: Errno.invalidArgument) { try control.write("\(request)\n") }
            #expect(try control.readText().hasPrefix("error 87 ERROR_INVALID_PARAMETER "))
            try control.close()
        }
    }

    @Test func unterminatedLinesRunWhenAWriteOnlyFileIsReleased() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            try scene.makeVHD("a.vhd")
            let writer = try scene.control(reads: false)
            try writer.write("attach \(scratch.path("a.vhd"))")
            try writer.file.flush()
            #expect(try scene.names("attached").isEmpty)
            writer.release()
            #expect(try scene.names("attached") == ["a"])

            let both = try scene.control()
            try both.write("detach a")
            try both.close()
            #expect(try scene.names("attached") == ["a"])
        }
    }

    @Test func longLinesComeInSeveralWrites() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            try scene.makeVHD("a.vhd")
            let control = try scene.control()
            let request = "attach \(scratch.path("a.vhd"))"
            let line = request + String(repeating: " ", count: 65_536 - request.utf8.count)
            for part in [line.prefix(30_000), line.dropFirst(30_000).prefix(30_000), line.dropFirst(60_000)] {
                try control.write(String(part))
                #expect(try scene.names("attached").isEmpty)
            }
            try control.write("\n")
            #expect(try scene.names("attached") == ["a"])

            #expect(throws: Errno.invalidArgument) { try control.write("detach a" + line) }
            // What follows of that line is not a request of its own.
            try control.write("detach a\nlist\n")
            #expect(try scene.names("attached") == ["a"])
            #expect(try control.readLines().last == "ok list")
            try control.close()
        }
    }

    @Test func theLastMebibyteOfAnswersIsKept() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            let control = try scene.control()
            let help = try {
                try control.write("help\n"); return try control.readText().utf8.count
            }()
            for _ in 0...(1 << 20) / help { try control.write("help\n") }
            try control.write("list\n")
            let text = try control.readText()
            #expect(text.utf8.count <= 1 << 20)
            #expect(text.utf8.count > (1 << 20) - 200)
            #expect(text.hasSuffix("ok help\nok list\n"))
            // Nothing begins in the middle of a line.
            let first = try #require(text.split(separator: "\n").first)
            try control.write("help\n")
            #expect(try control.readText().contains("\n\(first)\n"))
            try control.close()
        }
    }

    // MARK: Who sees what

    @Test func aSnapshotIsForReaders() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            try scene.attach("a", "readonly")
            let file = try scene.control(writes: false)
            try scene.echo("detach a")
            let lines = try file.readLines()
            #expect(lines.first == "a \(scratch.path("a.vhd")) readonly")
            #expect(lines.dropFirst().allSatisfy { $0.hasPrefix("#") })
            #expect(throws: Errno.self) { try file.write("list\n") }
            try file.close()
        }
    }

    @Test func failuresAreShownToThoseWhoMadeThem() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch, group: 7000)
            #expect(throws: Errno.noSuchFileOrDirectory) {
                try scene.echo("attach /secret/a.vhd", as: .user(4000, group: 7000))
            }
            #expect(throws: Errno.notPermitted) { try scene.echo("attach /other/b.vhd", as: .user(5000)) }
            let root = try scene.snapshot(for: .root)
            #expect(root.contains("# error 3 ERROR_PATH_NOT_FOUND /secret/a.vhd"))
            #expect(root.contains("# error 1314 ERROR_PRIVILEGE_NOT_HELD"))
            let one = try scene.snapshot(for: .user(4000))
            #expect(one.contains("/secret/a.vhd"))
            #expect(!one.contains("1314"))
            let other = try scene.snapshot(for: .user(5000))
            #expect(!other.contains("secret"))
            #expect(other.contains("# error 1314 ERROR_PRIVILEGE_NOT_HELD"))
            #expect(try !scene.snapshot(for: .user(6000)).contains("# error"))
        }
    }

    @Test func pathsAreForManagersAndThoseWhoAttached() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch, user: 3000, group: nil)
            try scene.attach("a")
            func listed(_ caller: Caller) throws -> String {
                let control = try scene.control(as: caller)
                defer { control.release() }
                try control.write("list\n")
                return try control.readText()
            }
            #expect(try listed(.user(3000)).contains(scratch.path("a.vhd")))
            #expect(try listed(.root).contains(scratch.path("a.vhd")))
            #expect(try listed(.user(4000)) == "a\nok list\n")
            let other = try scene.control(as: .user(4000))
            #expect(throws: Errno.permissionDenied) { try other.write("info a\n") }
            #expect(try !other.readText().contains(scratch.path))
            try other.close()
            let mine = try scene.control(as: .user(3000))
            try mine.write("info a\n")
            #expect(try mine.readText().contains("path: \(scratch.path("a.vhd"))\n"))
            try mine.close()
        }
    }

    @Test func strangersMayNotAttach() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            try scene.makeVHD("a.vhd")
            let control = try scene.control(as: .user(4000))
            #expect(throws: Errno.notPermitted) { try control.write("attach \(scratch.path("a.vhd")) readonly\n") }
            #expect(try control.readText().hasPrefix("error 1314 ERROR_PRIVILEGE_NOT_HELD "))
            try control.close()
        }
    }

    // MARK: Lifetime

    @Test func aReadWriteFileIsAHandle() throws {
        try withScratchFolder { scratch in
            let scene = TreeScene(scratch)
            for name in ["a", "b", "c"] { try scene.makeVHD("\(name).vhd") }
            let (one, two) = (try scene.control(), try scene.control())
            try one.write("attach \(scratch.path("a.vhd"))\n")
            try two.write("attach \(scratch.path("b.vhd"))\n")
            try scene.echo("attach \(scratch.path("c.vhd"))")
            // A copy of the descriptor is closed: the handle is still there.
            try one.file.flush()
            #expect(try scene.names("attached") == ["a", "b", "c"])
            one.release()
            #expect(try scene.names("attached") == ["b", "c"])
            two.release()
            #expect(try scene.names("attached") == ["c"])
        }
    }

    // MARK: Slow images

    @Test(.timeLimit(.minutes(10)))
    func requestsOfOtherHandlesRunWhileOneHangs() throws {
        try withScratchFolder { scratch in
            let opener = SlowOpener()
            defer { opener.letThrough() }
            let scene = TreeScene(scratch, opener: opener)
            try scene.makeVHD("slow.vhd")
            try scene.makeVHD("a.vhd")
            try inParallel(2) { index in
                if index == 0 {
                    try scene.echo("attach \(scratch.path("slow.vhd"))")
                } else {
                    opener.waitForOpens(1)
                    try scene.echo("attach \(scratch.path("a.vhd"))")
                    #expect(try scene.names("attached") == ["a"])
                    let file = try scene.open("attached/a/disk")
                    #expect(try file.read(4096..<4097) == [1])
                    try file.close()
                    _ = try scene.control(writes: false).readText()
                    try scene.echo("detach a")
                    opener.letThrough()
                }
            }
            #expect(try scene.names("attached") == ["slow"])
        }
    }

    @Test(.timeLimit(.minutes(10)))
    func anInterruptedAttachIsEINTRAndLeavesNothing() throws {
        try withScratchFolder { scratch in
            let opener = SlowOpener()
            defer { opener.letThrough() }
            let scene = TreeScene(scratch, opener: opener)
            try scene.makeVHD("slow.vhd")
            let interruption = Interruption()
            let control = try scene.control()
            try inParallel(2) { index in
                if index == 0 {
                    #expect(throws: Errno.interrupted) {
                        try control.write("attach \(scratch.path("slow.vhd"))\n", interruption: interruption)
                    }
                } else {
                    opener.waitForOpens(1)
                    interruption.raise()
                }
            }
            #expect(try control.readText().hasPrefix("error 995 ERROR_OPERATION_ABORTED "))
            opener.letThrough()
            // The file is opened now, too late, and let go again.
            #expect(eventually { (try? control.write("attach \(scratch.path("slow.vhd")) name=x\n")) != nil })
            #expect(try scene.names("attached") == ["x"])
            try control.close()
            #expect(try scene.names("attached").isEmpty)
        }
    }

    @Test(.timeLimit(.minutes(10)))
    func aWriteThatWaitsForAnotherOfItsHandleCanBeInterrupted() throws {
        try withScratchFolder { scratch in
            let opener = SlowOpener()
            defer { opener.letThrough() }
            let scene = TreeScene(scratch, opener: opener)
            try scene.makeVHD("slow.vhd")
            let control = try scene.control()
            try inParallel(2) { index in
                if index == 0 {
                    try control.write("attach \(scratch.path("slow.vhd"))\n")
                } else {
                    opener.waitForOpens(1)
                    let interruption = Interruption()
                    interruption.raise()
                    #expect(throws: Errno.interrupted) { try control.write("list\n", interruption: interruption) }
                    #expect(try control.read(0..<10) == [])
                    opener.letThrough()
                }
            }
            #expect(try control.readLines() == ["ok attach slow /mount/attached/slow"])
            try control.close()
        }
    }
}
