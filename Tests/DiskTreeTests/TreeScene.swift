import ByteIO
import ControlLanguage
import DiskTree
import FileSystem
import Glibc
import Logging
import Platform
import SystemPackage
import TestSupport
import Testing
import VirtualDisk
import VolumeTree
import Volumes

/// A tree over the files of a scratch folder, asked as the kernel asks.
final class TreeScene: Sendable {
    let scratch: ScratchFolder
    let table: AttachmentTable
    let tree: DiskTree
    let cache = RecordedCache()

    /// Nobody reads any file system.
    private static let refuse: VolumeOptions.Opener = { (_, _, _) throws(VolumeError) in
        throw VolumeError(.unsupported, "no readers")
    }

    init(
        _ scratch: ScratchFolder,
        opener: any FileOpener = DirectOpener(),
        user: UInt32 = 0,
        group: UInt32? = nil,
        volumes: VolumeOptions? = nil
    ) {
        self.scratch = scratch
        let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        table = AttachmentTable(
            .init(
                policy: ManagePolicy(mountingUser: user, group: group),
                opener: opener,
                journal: .failure(AttachError(.accessDenied, "no state directory")),
                isReadOnly: false,
                mountPoint: "/mount"
            ),
            log: log
        )
        tree = DiskTree(table, volumes: volumes ?? VolumeOptions(log: log, open: Self.refuse), log: log)
        tree.connect(cache)
    }

    /// The node at the end of a path of names.
    func node(_ path: String) throws(Errno) -> NodeID {
        var node = NodeID.root
        for name in path.split(separator: "/") { node = try tree.lookup(String(name), in: node).node }
        return node
    }

    func attributes(_ path: String) throws(Errno) -> Attributes {
        try tree.attributes(of: try node(path), file: nil).attributes
    }

    /// What is in a folder.
    func names(_ path: String) throws(Errno) -> [String] {
        let directory = try tree.list(try node(path))
        return (0..<directory.count).map { directory.entry(at: $0).name }
    }

    /// Opens as `open(2)` would; the kernel alone checks permissions.
    func open(_ path: String, reads: Bool = true, writes: Bool = false, synchronous: Bool = false) throws(Errno)
        -> TestFile
    {
        let mode = OpenMode(reads: reads, writes: writes, isSynchronous: synchronous)
        let opened = try tree.open(try node(path), mode: mode, caller: .root)
        return TestFile(opened.file)
    }

    /// A `ctl` of a caller's own.
    func control(reads: Bool = true, writes: Bool = true, as caller: Caller = .root) throws(Errno) -> TestFile {
        let opened = try tree.open(
            try node("ctl"),
            mode: OpenMode(reads: reads, writes: writes),
            caller: caller
        )
        return TestFile(opened.file, caller: caller)
    }

    /// What a caller sees who opens `ctl` for reading.
    func snapshot(for caller: Caller) throws(Errno) -> String {
        let file = try control(writes: false, as: caller)
        defer { file.release() }
        return try file.readText()
    }

    /// One request as `echo` makes it.
    func echo(_ request: String, as caller: Caller = .root) throws(Errno) {
        let file = try control(reads: false, as: caller)
        defer { file.release() }
        try file.write("\(request)\n")
    }

    /// Writes an image of 64 KiB in blocks of 4 KiB, the second of which is filled with `fill`, and attaches it.
    func attach(
        _ name: String,
        _ words: String = "",
        subtype: VHDBuilder.Subtype = .dynamic,
        fill: UInt8 = 1
    ) throws {
        try makeVHD("\(name).vhd", subtype: subtype, fill: fill)
        try echo("attach \(scratch.path(name)).vhd \(words)")
    }

    func makeVHD(_ file: String, subtype: VHDBuilder.Subtype = .dynamic, fill: UInt8 = 1) throws {
        var disk = SparseBytes(count: 65_536)
        disk.store([UInt8](repeating: fill, count: 4096), at: 4096)
        var builder = VHDBuilder(subtype, disk: disk, blockSize: 4096)
        builder.uniqueID = [UInt8](repeating: fill, count: 16)
        try scratch.write(builder.build().content, to: file)
    }
}

/// An open file of the tree.
final class TestFile: Sendable {
    let file: any OpenFile
    let caller: Caller

    init(_ file: any OpenFile, caller: Caller = .root) {
        self.file = file
        self.caller = caller
    }

    func read(_ range: Range<UInt64>) throws(Errno) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: range.count)
        let count = try bytes.withMutableBytes { (span) throws(Errno) in
            try file.read(into: &span, at: range.lowerBound, caller: caller)
        }
        return Array(bytes.prefix(count))
    }

    /// What has not been read yet, as text.
    func readText() throws(Errno) -> String {
        var bytes: [UInt8] = []
        while true {
            let piece = try read(UInt64(bytes.count)..<UInt64(bytes.count) + 65_536)
            if piece.isEmpty { return String(decoding: bytes, as: UTF8.self) }
            bytes += piece
        }
    }

    /// The answers of a `ctl` that have not been read yet.
    func readLines() throws(Errno) -> [String] {
        try readText().split(separator: "\n").map(String.init)
    }

    @discardableResult
    func write(
        _ bytes: [UInt8],
        at offset: UInt64 = 0,
        origin: WriteOrigin = .buffer,
        interruption: Interruption = Interruption()
    ) throws(Errno) -> Int {
        try bytes.withBytes { (span) throws(Errno) in
            try file.write(span, at: offset, origin: origin, caller: caller, interruption: interruption)
        }
    }

    func write(_ text: String, interruption: Interruption = Interruption()) throws(Errno) {
        let count = try write(Array(text.utf8), interruption: interruption)
        #expect(count == text.utf8.count)
    }

    /// The last `close(2)`.
    func close() throws(Errno) {
        defer { file.release() }
        try file.flush()
    }

    func release() { file.release() }
}

extension Caller {
    static let root = Caller(user: 0, group: 0, thread: getpid())
    static func user(_ id: UInt32, group: UInt32? = nil) -> Caller {
        Caller(user: id, group: group ?? id, thread: getpid())
    }
}

/// Notes what the kernel is made to forget.
final class RecordedCache: KernelCache {
    let events = Locked<[String]>([])

    func invalidate(_ node: NodeID, range: Range<UInt64>?) {
        events.withLock { $0.append("pages of \(node.rawValue)") }
    }

    func invalidate(name: String, in directory: NodeID) {
        events.withLock { $0.append("name \(name)") }
    }

    var canWritePastPages: Bool { true }
    func lend(_ descriptor: Int32) -> LentFile? { nil }
    func takeBack(_ file: LentFile) {}
}

/// Opens files whose name begins with `slow` only once it is told to.
final class SlowOpener: FileOpener {
    private struct State {
        var isOpen = false
        var waiting = 0
    }

    private let direct = DirectOpener()
    private let gate = Monitor(State())

    func open(
        _ path: FilePath,
        _ purpose: OpenPurpose,
        as credentials: Credentials,
        cancellation: Cancellation?
    ) throws(OpenError) -> Descriptor {
        if path.lastComponent?.string.hasPrefix("slow") == true {
            gate.update { $0.waiting += 1 }
            let _: Bool? = gate.wait { $0.isOpen ? true : nil }
        }
        return try direct.open(path, purpose, as: credentials, cancellation: nil)
    }

    /// Waits until so many opens hang here.
    func waitForOpens(_ count: Int) {
        let _: Bool? = gate.wait { $0.waiting >= count ? true : nil }
    }

    /// Lets all opens through.
    func letThrough() {
        gate.update { $0.isOpen = true }
    }
}

/// Waits until something is so; false when it still is not after a long time.
func eventually(_ condition: () -> Bool) -> Bool {
    for _ in 0..<3000 {
        if condition() { return true }
        usleep(10_000)
    }
    return false
}
