import Glibc
import SystemPackage
import Testing

@testable import Platform

// Each test starts its helper in a process of its own: a fork of the test process itself could inherit a lock in mid-use.
@Suite(.enabled(if: geteuid() == 0, "only root can open files with the rights of others"))
struct HelperOpenerTests {
    let scratch: ScratchFolder

    init() throws {
        scratch = try ScratchFolder(mode: 0o755)
    }

    @discardableResult
    private func file(_ name: String, user: uid_t, group: gid_t, mode: UInt32) throws -> FilePath {
        let path = try scratch.file(name, [42], mode: mode)
        let given = unsafe chown(path.string, user, group)
        try #require(given == 0)
        return path
    }

    @Test func opensWithTheRightsOfTheCaller() async throws {
        try file("own", user: 1234, group: 1234, mode: 0o600)
        try file("group", user: 0, group: 77, mode: 0o640)
        await #expect(processExitsWith: .success) { [folder = scratch.path.string as String] in
            let opener = try HelperOpener.start()
            let own = FilePath(folder + "/own")
            let group = FilePath(folder + "/group")
            let owner = Credentials(user: 1234, group: 1234)
            let other = Credentials(user: 1235, group: 1234)
            let member = Credentials(user: 1235, group: 1235, supplementaryGroups: [76, 77])
            #expect(try opener.read(own, as: owner).bytes(at: 0, count: 2) == [42])
            #expect(throws: OpenError.failed(.permissionDenied)) { try opener.read(own, as: other) }
            #expect(throws: OpenError.failed(.permissionDenied)) { try opener.read(group, as: owner) }
            #expect(try opener.read(group, as: member).bytes(at: 0, count: 2) == [42])
            #expect(throws: OpenError.failed(.permissionDenied)) {
                try opener.open(group, .readingAndWriting(), as: member)
            }
            #expect(try opener.read(group, as: Credentials(user: 1235, group: 77)).path() == group.resolved())
            // Root's rights do not come from being owner or member.
            #expect(try opener.open(own, .readingAndWriting(), as: root).bytes(at: 0, count: 2) == [42])
        }
    }

    @Test func looksBeforeItOpens() async throws {
        let made = unsafe mkfifo(scratch("fifo").string, 0o666)
        try #require(made == 0)
        await #expect(processExitsWith: .success) { [folder = scratch.path.string as String] in
            let opener = try HelperOpener.start()
            let user = Credentials(user: 1234, group: 1234)
            for (path, kind) in [
                (folder + "/fifo", FileKind.fifo), ("/dev/null", .characterDevice), (folder, .directory),
            ] {
                #expect(throws: OpenError.wrongKind(kind)) { try opener.read(FilePath(path), as: user) }
            }
            #expect(throws: OpenError.fileNotFound) { try opener.read(FilePath(folder + "/x"), as: user) }
            #expect(throws: OpenError.pathNotFound) { try opener.read(FilePath(folder + "/x/y"), as: user) }
            #expect(throws: OpenError.pathNotFound) { try opener.read("x", as: user) }
            #expect(try opener.open(FilePath(folder), .listing, as: user).entries() == ["fifo"])
            // A caller can't see the daemon in `self`, only the process that opens, and that as the file it is.
            #expect(try opener.read("/proc/self/status", as: user).status().kind == .regular)
            #expect(throws: OpenError.failed(.permissionDenied)) { try opener.read("/etc/shadow", as: user) }
        }
    }

    @Test func takesTheLongestRequests() async throws {
        try file("group", user: 0, group: 77, mode: 0o640)
        await #expect(processExitsWith: .success) { [folder = scratch.path.string as String] in
            let opener = try HelperOpener.start()
            let groups = (0..<65535).map { UInt32($0 + 1000) }
            let path = FilePath(folder + "/group")
            let member = Credentials(user: 1235, group: 1235, supplementaryGroups: groups + [77])
            #expect(try opener.read(path, as: member).bytes(at: 0, count: 2) == [42])
            var crowd = member
            crowd.supplementaryGroups.append(78)
            #expect(throws: OpenError.failed(.invalidArgument)) { try opener.read(path, as: crowd) }
            for count in [65535, 65536] {
                let long = FilePath("/" + String(repeating: "x", count: count))
                #expect(throws: OpenError.failed(.fileNameTooLong)) { try opener.read(long, as: member) }
            }
        }
    }

    @Test func opensManyAtOnce() async throws {
        for number in 0..<50 {
            try file("\(number)", user: 2000 + uid_t(number), group: 2000, mode: 0o600)
        }
        await #expect(processExitsWith: .success) { [folder = scratch.path.string as String] in
            let opener = try HelperOpener.start()
            let opened = Monitor<[Int: Bool]>([:])
            for number in 0..<50 {
                startThread("open") {
                    let user = Credentials(user: 2000 + UInt32(number), group: 1)
                    let own = try? opener.read(FilePath(folder + "/\(number)"), as: user)
                    let others = try? opener.read(FilePath(folder + "/\((number + 1) % 50)"), as: user)
                    let isRight = (try? own?.path().lastComponent?.string) == "\(number)" && others == nil
                    opened.update { $0[number] = isRight }
                }
            }
            let all = opened.wait { $0.count == 50 ? $0 : nil }
            #expect(all?.values.allSatisfy { $0 } == true)
        }
    }

    @Test func cancellationLeavesNothingBehind() async throws {
        let path = try file("a", user: 1234, group: 1234, mode: 0o600)
        try file("b", user: 1234, group: 1234, mode: 0o600)
        let holder = try holdLease(on: path)
        await #expect(processExitsWith: .success) { [folder = scratch.path.string as String] in
            let opener = try HelperOpener.start()
            let user = Credentials(user: 1234, group: 1234)
            _ = try opener.read(FilePath(folder + "/b"), as: user)
            opener.rest()
            let before = held(in: folder)
            do {
                // The one that will hang has served before.
                _ = try opener.read(FilePath(folder + "/b"), as: user)
                let cancellation = try Cancellation()
                startThread("cancel") {
                    // Mostly when the process that opens hangs; one beside it, another user's, does not.
                    usleep(20_000)
                    let other = try? opener.read(FilePath(folder + "/b"), as: root)
                    if other != nil { cancellation.cancel() }
                }
                #expect(throws: OpenError.cancelled) {
                    try opener.open(FilePath(folder + "/a"), .reading(), as: user, cancellation: cancellation)
                }
            }
            // The one that hung has been killed; the one beside it stays until then.
            #expect(settled(at: 1) { children(of: opener.processID).count } == 1)
            opener.rest()
            #expect(settled(at: []) { children(of: opener.processID) } == [])
            #expect(settled(at: before) { held(in: folder) } == before)
        }
        withExtendedLifetime(holder) {}
    }

    @Test func inheritsNothingAndEndsWithItsOwner() async throws {
        await #expect(processExitsWith: .success) { [folder = scratch.path.string as String] in
            // A descriptor that would be inherited, as those of a careless library are.
            let careless = unsafe open(folder, O_RDONLY)
            #expect(careless >= 0)
            var opener: HelperOpener? = try HelperOpener.start()
            let id = opener?.processID ?? -1
            _ = try opener?.read("/etc/passwd", as: root)
            // One socket; that of the request goes when the helper gets round to it.
            let isBare = eventually {
                let kept = try? descriptors(of: id).filter { $0 != "/dev/null" }
                return kept?.count == 1 && kept?[0].hasPrefix("socket:") == true
            }
            #expect(isBare)
            #expect(try FilePath("/proc/\(id)/cwd").linkTarget() == "/")
            kill(id, SIGINT)
            kill(id, SIGTERM)
            #expect(throws: Never.self) { try opener?.read("/etc/passwd", as: root) }
            #expect(children(of: getpid()).contains(id))
            opener = nil
            #expect(!children(of: getpid()).contains(id))
        }
    }

    @Test func endsWhenTheDaemonIsKilled() async throws {
        await #expect(processExitsWith: .signal(SIGKILL)) { [folder = scratch.path.string as String] in
            let opener = try HelperOpener.start()
            _ = try Descriptor(opening: FilePath(folder + "/\(opener.processID)"), flags: O_CREAT | O_WRONLY)
            kill(getpid(), SIGKILL)
        }
        let names = try Descriptor(opening: scratch.path, flags: O_RDONLY).entries()
        let id = try #require(names.compactMap { pid_t($0) }.first)
        #expect(eventually { !isRunning(id) })
    }

    /// Whether a process still does something: one that nobody has waited for does not.
    private func isRunning(_ id: pid_t) -> Bool {
        guard let text = try? FilePath("/proc/\(id)/status").contents(limit: 65536) else { return false }
        return !String(decoding: text, as: UTF8.self).contains("State:\tZ")
    }

    @Test func saysWhenTheHelperIsGone() async throws {
        await #expect(processExitsWith: .success) {
            let opener = try HelperOpener.start()
            kill(opener.processID, SIGKILL)
            #expect(throws: OpenError.helperEnded) {
                // The first may be on its way while the helper dies; its connection is closed then.
                while true { _ = try opener.read("/etc/passwd", as: root) }
            }
        }
    }
}

@Suite struct OpenRequestTests {
    private let request = OpenRequest(
        path: "/a/ü",
        purpose: .readingAndWriting(allowBlockDevice: true),
        credentials: Credentials(user: 1, group: .max, supplementaryGroups: [7, 0x0102_0304])
    )

    private func decode(_ bytes: [UInt8]) -> OpenRequest? {
        var rest = bytes[...]
        return OpenRequest { count in
            guard count <= rest.count else { return nil }
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
    }

    @Test func readsBackWhatWasAsked() throws {
        #expect(try decode(request.encoded()) == request)
        for purpose in [OpenPurpose.reading(), .reading(allowBlockDevice: true), .readingAndWriting(), .listing] {
            var other = request
            other.purpose = purpose
            #expect(try decode(other.encoded()) == other)
        }
    }

    @Test func pathsNeedNotBeUTF8() throws {
        var other = request
        other.path = FilePath(bytes: [47, 255, 254])
        #expect(try decode(other.encoded())?.path.bytes == [47, 255, 254])
    }

    @Test func refusesPartsOfRequests() throws {
        let bytes = try request.encoded()
        for count in 0..<bytes.count { #expect(decode(Array(bytes.prefix(count))) == nil) }
        var unknown = bytes
        unknown[8] = 99
        #expect(decode(unknown) == nil)
    }

    @Test(arguments: [
        OpenAnswer.opened, .refused(.fileNotFound), .refused(.pathNotFound), .refused(.wrongKind(.fifo)),
        .refused(.failed(.permissionDenied)),
    ])
    func readsBackAnswers(answer: OpenAnswer) {
        #expect(OpenAnswer(answer.encoded) == answer)
        #expect(OpenAnswer(Array(answer.encoded.dropLast())) == nil)
    }

    @Test(arguments: [[9, 0, 0, 0, 0, 0, 0, 0], [3, 0, 0, 0, 99, 0, 0, 0]] as [[UInt8]])
    func refusesUnknownAnswers(bytes: [UInt8]) {
        #expect(OpenAnswer(bytes) == nil)
    }
}
