import Glibc
import Platform
import SystemPackage
import Testing

@Suite struct AtomicFileTests {
    let scratch: ScratchFolder

    init() throws {
        scratch = try ScratchFolder()
    }

    private func names() throws -> [String] {
        try Descriptor(opening: scratch.path, flags: O_RDONLY).entries().sorted()
    }

    @Test func replacesTheWholeFile() throws {
        let path = try scratch.file("a", [1, 2, 3], mode: 0o666)
        let old = try Descriptor(opening: path, flags: O_RDONLY)
        try AtomicFile.write([9], to: path)
        #expect(try path.contents(limit: 10) == [9])
        #expect(try path.status().permissions == 0o600)
        #expect(try old.bytes(at: 0, count: 4) == [1, 2, 3], "the old file has been written into")
        try AtomicFile.write([], to: scratch("b"), permissions: 0o644)
        #expect(try scratch("b").status().permissions == 0o644)
        #expect(try names() == ["a", "b"])
    }

    @Test func failureLeavesNothingBehind() throws {
        let made = unsafe mkdir(scratch("folder").string, 0o700)
        try #require(made == 0)
        #expect(throws: Errno.isDirectory) { try AtomicFile.write([1], to: scratch("folder")) }
        #expect(throws: Errno.noSuchFileOrDirectory) { try AtomicFile.write([1], to: scratch("none/a")) }
        #expect(throws: Errno.isDirectory) { try AtomicFile.write([1], to: "/") }
        #expect(try names() == ["folder"])
    }

    @Test func removes() throws {
        let path = try scratch.file("a")
        try AtomicFile.remove(path)
        #expect(try names() == [])
        #expect(throws: Errno.noSuchFileOrDirectory) { try AtomicFile.remove(path) }
    }

    @Test func readsNoMoreThanTheLimit() throws {
        let bytes = (0..<40000).map { UInt8(truncatingIfNeeded: $0) }
        let path = try scratch.file("a", bytes)
        #expect(try path.contents(limit: 40000) == bytes)
        #expect(throws: Errno.fileTooLarge) { try path.contents(limit: 39999) }
        #expect(throws: Errno.fileTooLarge) { try FilePath("/dev/zero").contents(limit: 100) }
    }
}

@Suite struct PrivateDirectoryTests {
    let scratch: ScratchFolder

    init() throws {
        scratch = try ScratchFolder()
    }

    private func folder(_ name: String, mode: UInt32) throws -> FilePath {
        let made = unsafe mkdir(scratch(name).string, 0o700)
        let changed = unsafe chmod(scratch(name).string, mode)
        try #require(made == 0 && changed == 0)
        return scratch(name)
    }

    @Test func makesWhatIsMissing() throws {
        let path = scratch("a/b/c")
        for _ in 1...2 { #expect(try openPrivateDirectory(path).path() == path.resolved()) }
        for made in ["a", "a/b", "a/b/c"] { #expect(try scratch(made).status().permissions == 0o700) }
    }

    @Test func refusesWhatOthersCanReach() throws {
        #expect(throws: PrivateDirectoryError.permissions(0o750)) {
            try openPrivateDirectory(folder("open", mode: 0o750))
        }
        let private0 = try folder("private", mode: 0o700)
        let linked = unsafe symlink(private0.string, scratch("link").string)
        try #require(linked == 0)
        #expect(throws: PrivateDirectoryError.symbolicLink) { try openPrivateDirectory(scratch("link")) }
        let file = try scratch.file("file", mode: 0o700)
        #expect(throws: PrivateDirectoryError.notDirectory) { try openPrivateDirectory(file) }
        #expect(throws: PrivateDirectoryError.notDirectory) { try openPrivateDirectory(file.appending("x")) }
        #expect(throws: PrivateDirectoryError.failed(.noSuchFileOrDirectory)) {
            try openPrivateDirectory("/proc/none/vhdfs")
        }
    }

    @Test(.enabled(if: geteuid() == 0, "only root can give a directory away"))
    func refusesWhatBelongsToAnother() throws {
        let path = try folder("theirs", mode: 0o700)
        let given = unsafe chown(path.string, 1234, 1234)
        try #require(given == 0)
        #expect(throws: PrivateDirectoryError.ownedBy(1234)) { try openPrivateDirectory(path) }
    }
}
