import Glibc
import Platform
import SystemPackage
import Testing

@Suite struct DescriptorTests {
    let scratch: ScratchFolder

    init() throws {
        scratch = try ScratchFolder()
    }

    @Test func readsBackWhatWasWritten() throws {
        let file = try Descriptor(opening: scratch("a"), flags: O_RDWR | O_CREAT)
        try file.write([1, 2, 3, 4], at: 10)
        #expect(try file.bytes(at: 8, count: 4) == [0, 0, 1, 2])
        try file.synchronizeData()
        try file.synchronize()
    }

    @Test func readsShortOnlyAtTheEnd() throws {
        let file = try Descriptor(opening: scratch.file("a", [1, 2, 3]), flags: O_RDONLY)
        #expect(try file.bytes(at: 1, count: 8) == [2, 3])
        #expect(try file.bytes(at: 3, count: 8) == [])
        #expect(try file.bytes(at: 1 << 40, count: 8) == [])
    }

    @Test(arguments: [UInt64(Int64.max) - 2, UInt64(Int64.max) + 1, UInt64.max])
    func refusesOffsetsThatTheHostCannotExpress(offset: UInt64) throws {
        let file = try Descriptor(opening: scratch.file("a"), flags: O_RDWR)
        #expect(throws: Errno.invalidArgument) { try file.bytes(at: offset, count: 4) }
        #expect(throws: Errno.fileTooLarge) { try file.write([1, 2, 3, 4], at: offset) }
    }

    @Test func refusesRangesThatTheHostCannotExpress() throws {
        let file = try Descriptor(opening: scratch.file("a"), flags: O_RDWR)
        #expect(throws: Errno.fileTooLarge) { try file.truncate(to: .max) }
        #expect(throws: Errno.fileTooLarge) { try file.punchHole(0..<UInt64.max) }
        #expect(throws: Errno.fileTooLarge) { try file.zeroRange(UInt64.max - 1..<UInt64.max) }
        #expect(throws: Errno.invalidArgument) { try file.nextData(from: .max) }
    }

    @Test func closesItsNumberWithTheLastReference() throws {
        let number: CInt
        do {
            let file = try Descriptor(opening: scratch.file("a"), flags: O_RDONLY)
            number = file.rawValue
            #expect(fcntl(number, F_GETFD) & FD_CLOEXEC != 0)
        }
        // Another test may have got the number since: then it leads elsewhere.
        let target = try? FilePath("/proc/self/fd/\(number)").linkTarget()
        #expect(target != scratch("a"))
    }

    @Test func punchesAndZeroesWithoutChangingTheLength() throws {
        let file = try Descriptor(opening: scratch.file("a", [UInt8](repeating: 7, count: 65536)), flags: O_RDWR)
        try file.punchHole(4096..<8192)
        #expect(try file.bytes(at: 4095, count: 3) == [7, 0, 0])
        #expect(try file.bytes(at: 8191, count: 2) == [0, 7])
        try file.punchHole(61440..<131072)
        try file.punchHole(5..<5)
        #expect(try file.status().size == 65536)
        do {
            try file.zeroRange(16383..<131072)
            #expect(try file.bytes(at: 16382, count: 2) == [7, 0])
            #expect(try file.status().size == 65536)
        } catch Errno.notSupportedOnSocket {
            // A file system (tmpfs, overlay on it) that can only punch.
        }
    }

    @Test func findsDataAndHoles() throws {
        let file = try Descriptor(opening: scratch("a"), flags: O_RDWR | O_CREAT)
        try file.truncate(to: 1 << 20)
        try file.write([UInt8](repeating: 1, count: 4096), at: 1 << 19)
        #expect(try file.nextData(from: 0) == 1 << 19)
        #expect(try file.nextHole(from: 1 << 19) == (1 << 19) + 4096)
        #expect(try file.nextData(from: 1 << 20) == nil)
        #expect(try file.nextData(from: (1 << 19) + 4096) == nil)
    }

    @Test func tellsAboutAFile() throws {
        let path = try scratch.file("a", [1, 2, 3], mode: 0o4640)
        let status = try Descriptor(opening: path, flags: O_RDONLY).status()
        #expect(status.kind == .regular)
        #expect(status.permissions == 0o4640)
        #expect(status.size == 3)
        #expect(status.user == geteuid())
        #expect(status.modifiedSeconds > 1_600_000_000)
        #expect(try path.status() == status)
        let linked = unsafe symlink("a", scratch("l").string)
        try #require(linked == 0)
        #expect(try scratch("l").status().identity == status.identity)
        #expect(try scratch("l").status(followingLinks: false).kind == .symbolicLink)
        #expect(try FilePath("/dev/null").status().kind == .characterDevice)
        #expect(throws: Errno.noSuchFileOrDirectory) { try scratch("none").status() }
    }

    @Test func filesWithoutFlagsHaveNone() throws {
        let file = try Descriptor(opening: "/proc/self/status", flags: O_RDONLY)
        #expect(try file.inodeFlags() == [])
        let plain = try Descriptor(opening: scratch.file("a"), flags: O_RDONLY)
        #expect(try plain.inodeFlags().isDisjoint(with: [.compressed, .encrypted]))
    }

    @Test func listsADirectoryFromItsBeginningEachTime() throws {
        for name in ["b", "a", "ü", "x y"] { try scratch.file(name) }
        var bad: [CChar] = [-1, -2, 0]
        bad.insert(contentsOf: (scratch.path.string + "/").utf8CString.dropLast(), at: 0)
        let unnamed = unsafe open(bad, O_CREAT | O_WRONLY, 0o600)
        try #require(unnamed >= 0)
        close(unnamed)
        defer { unsafe unlink(bad) }
        let folder = try Descriptor(opening: scratch.path, flags: O_RDONLY | O_DIRECTORY)
        #expect(try folder.entries().sorted() == ["a", "b", "x y", "ü"])
        #expect(try folder.entries().count == 4)
        let file = try Descriptor(opening: scratch("a"), flags: O_RDONLY)
        #expect(throws: Errno.notDirectory) { try file.entries() }
    }

    @Test func followsLinks() throws {
        let path = try scratch.file("a")
        let linked = unsafe symlink("./a", scratch("l").string)
        try #require(linked == 0)
        #expect(try scratch("l").linkTarget() == "./a")
        #expect(try scratch("l").resolved() == path.resolved())
        #expect(try Descriptor(opening: scratch("l"), flags: O_RDONLY).path() == path.resolved())
        #expect(throws: Errno.invalidArgument) { try path.linkTarget() }
        #expect(throws: Errno.noSuchFileOrDirectory) { try scratch("none").resolved() }
    }
}
