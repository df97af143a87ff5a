import Glibc
import Platform
import SystemPackage
import Testing

@Suite struct DirectOpenerTests {
    let scratch: ScratchFolder
    let opener = DirectOpener()

    init() throws {
        scratch = try ScratchFolder()
    }

    @Test func opensAsAsked() throws {
        let path = try scratch.file("a", [1, 2])
        let reader = try opener.read(path, as: root)
        #expect(try reader.bytes(at: 0, count: 2) == [1, 2])
        #expect(throws: Errno.badFileDescriptor) { try reader.write([9], at: 0) }
        #expect(fcntl(reader.rawValue, F_GETFD) & FD_CLOEXEC != 0)
        #expect(fcntl(reader.rawValue, F_GETFL) & O_NONBLOCK == 0)
        let writer = try opener.open(path, .readingAndWriting(), as: root, cancellation: Cancellation())
        try writer.write([9], at: 0)
        #expect(try writer.bytes(at: 0, count: 2) == [9, 2])
        #expect(try writer.path() == path.resolved())
        #expect(try opener.open(scratch.path, .listing, as: root).entries() == ["a"])
    }

    @Test func refusesWhatIsNoRegularFileAtOnce() throws {
        let made = unsafe mkfifo(scratch("fifo").string, 0o600)
        try #require(made == 0)
        let linked = unsafe symlink("fifo", scratch("link").string)
        try #require(linked == 0)
        for (path, kind) in [
            (scratch("fifo"), FileKind.fifo), (scratch("link"), .fifo), ("/dev/null", .characterDevice),
            (scratch.path, .directory),
        ] {
            #expect(throws: OpenError.wrongKind(kind)) { try opener.read(path, as: root) }
            #expect(throws: OpenError.wrongKind(kind)) {
                try opener.open(path, .readingAndWriting(allowBlockDevice: true), as: root)
            }
        }
        #expect(throws: OpenError.wrongKind(.regular)) { try opener.open(scratch.file("a"), .listing, as: root) }
    }

    private static let blockDevice: FilePath? = {
        let names = (try? Descriptor(opening: "/dev", flags: O_RDONLY).entries()) ?? []
        return names.map { FilePath("/dev/\($0)") }.first { path in
            (try? path.status().kind) == .blockDevice && (try? Descriptor(opening: path, flags: O_RDONLY)) != nil
        }
    }()

    @Test(.enabled(if: blockDevice != nil, "there is no block device that could be read"))
    func opensBlockDevicesOnlyWhenAsked() throws {
        let path = try #require(Self.blockDevice)
        #expect(throws: OpenError.wrongKind(.blockDevice)) { try opener.read(path, as: root) }
        let device = try opener.open(path, .reading(allowBlockDevice: true), as: root)
        #expect(try device.status().kind == .blockDevice)
        let end = try device.size()
        #expect(try device.bytes(at: end, count: 1) == [])
        if end > 0 { #expect(try device.bytes(at: end - 1, count: 2).count == 1) }
    }

    @Test func tellsMissingFilesFromMissingDirectories() throws {
        try scratch.file("a")
        let linked = unsafe symlink("nowhere", scratch("dangling").string)
        try #require(linked == 0)
        #expect(throws: OpenError.fileNotFound) { try opener.read(scratch("b"), as: root) }
        #expect(throws: OpenError.fileNotFound) { try opener.read(scratch("dangling"), as: root) }
        #expect(throws: OpenError.pathNotFound) { try opener.read(scratch("b/c"), as: root) }
        #expect(throws: OpenError.pathNotFound) { try opener.read(scratch("a/c"), as: root) }
        #expect(throws: OpenError.pathNotFound) { try opener.read("a", as: root) }
        #expect(throws: OpenError.pathNotFound) { try opener.read("", as: root) }
        let long = FilePath("/" + String(repeating: "x", count: 70000))
        #expect(throws: OpenError.failed(.fileNameTooLong)) { try opener.read(long, as: root) }
    }

    @Test func cancellationEndsAWaitThatWouldNotEnd() throws {
        let path = try scratch.file("a")
        let holder = try holdLease(on: path)
        let cancellation = try Cancellation()
        startThread("cancel") {
            // Not before the other thread can be in its open; sooner is right too, and tests less.
            usleep(50_000)
            cancellation.cancel()
        }
        #expect(throws: OpenError.cancelled) {
            try opener.open(path, .reading(), as: root, cancellation: cancellation)
        }
        #expect(throws: OpenError.cancelled) {
            try opener.open(path, .reading(), as: root, cancellation: cancellation)
        }
        // The abandoned threads get their files when the lease ends, and close them.
        holder.end()
        let target = try path.resolved().string
        #expect(eventually { (try? descriptors(of: getpid()).contains(target)) == false })
    }
}
