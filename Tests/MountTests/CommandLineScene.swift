import Glibc
import TestSupport
import Testing

/// Whether this machine and user can mount at all.
let commandLineCanMount: Bool = unsafe geteuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0

/// Why not.
let commandLineMountReason: Comment = "needs root and /dev/fuse"

/// A folder with images, a mount point `m`, and the built `vhdfs`. Whatever is mounted or runs in it at the end is taken away.
struct CommandLineScene {
    let folder: ScratchFolder
    var mountPoint: String { path("m") }

    func path(_ name: String) -> String { folder.path(name) }

    /// The built program: it is where the tests are.
    static let program: String = {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = unsafe readlink("/proc/self/exe", &buffer, buffer.count)
        let runner = String(decoding: buffer.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let arguments = [runner] + CommandLine.arguments
        let folders = arguments.compactMap { text in
            text.range(ofPart: "/vhdfsPackageTests.xctest").map { String(text[..<$0]) }
        }
        return folders.first.map { "\($0)/vhdfs" } ?? "\(TestImages.packageFolder)/.build/debug/vhdfs"
    }()

    /// Variables that keep a test out of the state of real mounts.
    var environment: [String: String] {
        [
            "HOME": path("home"), "XDG_STATE_HOME": path("state"), "VHDFS_MOUNTPOINT": "",
            "VHDFS": Self.program, "MOUNTPOINT": mountPoint, "FOLDER": folder.path,
        ]
    }

    // MARK: Running

    /// Runs `vhdfs` with these words.
    @discardableResult
    func vhdfs(_ words: String...) throws -> CommandResult {
        try run([Self.program] + words, environment: environment)
    }

    /// Mounts at `m`, with a state directory of the scene's own; the words come before the mount point.
    @discardableResult
    func mount(_ words: String...) throws -> CommandResult {
        try run([Self.program] + words + ["--state-dir", path("state"), mountPoint], environment: environment)
    }

    /// The same in the foreground; returns when it is mounted.
    func mountInForeground(_ words: String...) throws -> RunningCommand {
        let command = [Self.program] + words + ["-f", "--state-dir", path("state"), mountPoint]
        let daemon = try RunningCommand(command, environment: environment)
        guard commandLineEventually({ daemon.errorOutputSoFar.contains("mounted at") || !daemon.isRunning }),
            daemon.isRunning
        else {
            daemon.stop()
            throw TestSupportError("it did not come up: \(daemon.wait().errorOutput)")
        }
        return daemon
    }

    /// Runs a verb for the file system at `m`.
    @discardableResult
    func verb(_ verb: String, _ words: String...) throws -> CommandResult {
        try run([Self.program, verb, "--at", mountPoint] + words, environment: environment)
    }

    /// Runs a script of the shell, which ends at its first command that fails.
    @discardableResult
    func shell(_ script: String) throws -> CommandResult {
        try run(["sh", "-ec", script], environment: environment)
    }

    /// Runs a script in a mount namespace of its own, in which no vhdfs is mounted yet.
    @discardableResult
    func shellWithOwnMounts(_ script: String) throws -> CommandResult {
        // One whose folder another test has removed meanwhile is gone already.
        let clear = "for m in $(grep ' fuse.vhdfs ' /proc/mounts | cut -d' ' -f2); do umount -lq $m || true; done\n"
        return try run(
            ["unshare", "-m", "--propagation", "private", "sh", "-ec", clear + script],
            environment: environment
        )
    }

    // MARK: Images

    /// Makes a fixed VHD of 1 MiB, whose disk begins with `text`.
    @discardableResult
    func vhd(_ name: String, beginsWith text: String = "") throws -> String {
        var disk = SparseBytes(count: 1 << 20)
        disk.store(Array(text.utf8), at: 0)
        var builder = VHDBuilder(.fixed, disk: disk)
        // Images of different names are different ones.
        builder.uniqueID = Array((name + "----------------").utf8.prefix(16))
        return try folder.write(builder.build().content, to: name)
    }

    /// Makes an ISO image.
    @discardableResult
    func iso(_ name: String) throws -> String {
        try folder.write(ISOBuilder.iso9660().content, to: name)
    }

    /// Makes a file that is no image.
    @discardableResult
    func text(_ name: String) throws -> String {
        try folder.write([UInt8](repeating: 0x20, count: 4096), to: name)
    }

    // MARK: Looking

    /// Names of the attached disks.
    var attached: [String] { Self.names(in: "\(mountPoint)/attached") }

    /// A file below the mount point as text.
    func read(_ name: String) throws -> String {
        try run("cat", "\(mountPoint)/\(name)").checked().output
    }

    /// The line of `/proc/mounts` of what is mounted at `m`.
    var mountLine: String? {
        Self.lines(of: "/proc/mounts").last { $0.split(separator: " ").dropFirst().first == mountPoint[...] }
    }

    var isMounted: Bool { mountLine != nil }

    /// Processes of `vhdfs` that were started for this scene, zombies aside: its folder is in their environment.
    var daemons: [Int32] {
        Self.names(in: "/proc").compactMap { Int32($0) }.filter { process in
            Self.contents(of: "/proc/\(process)/cmdline").starts(with: Self.program.utf8)
                && Self.contents(of: "/proc/\(process)/environ").split(separator: 0).contains(
                    Array("FOLDER=\(folder.path)".utf8)[...]
                )
        }
    }

    static func contents(of path: String) -> [UInt8] {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        var contents: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = unsafe Glibc.read(file, &chunk, chunk.count)
            if count <= 0 { return contents }
            contents += chunk.prefix(count)
        }
    }

    static func lines(of path: String) -> [String] {
        String(decoding: contents(of: path), as: UTF8.self).split(separator: "\n").map(String.init)
    }

    static func names(in folder: String) -> [String] {
        guard let directory = unsafe opendir(folder) else { return [] }
        defer { unsafe closedir(directory) }
        var names: [String] = []
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    // MARK: The end

    fileprivate func takeAway() {
        for line in Self.lines(of: "/proc/mounts") {
            let fields = line.split(separator: " ").map(String.init)
            if fields.count > 1, fields[1].hasPrefix(folder.path + "/") { _ = try? run("umount", "-l", fields[1]) }
        }
        for process in daemons { kill(process, SIGKILL) }
    }
}

/// Lends a scene.
func withCommandLineScene(_ body: (CommandLineScene) throws -> Void) throws {
    try withScratchFolder { folder in
        let scene = CommandLineScene(folder: folder)
        try folder.makeFolder("m")
        try folder.makeFolder("home")
        defer { scene.takeAway() }
        try body(scene)
    }
}

/// Waits until something has become true; for what has no event to wait for.
func commandLineEventually(_ condition: () -> Bool) -> Bool {
    for _ in 0..<3000 {
        if condition() { return true }
        usleep(10_000)
    }
    return false
}

extension CommandResult {
    /// Whether it failed as CONTRACT.md §2 says: status 1, and one line `vhdfs: WHAT: WHY (NAME, CODE)`, the last one with these words in it.
    func hasFailed(_ name: String, _ code: Int, about words: String = "") -> Bool {
        let lines = errorOutput.split(separator: "\n")
        guard status == 1, lines.count == 1, let line = lines.first else { return false }
        return line.hasPrefix("vhdfs: ") && line.hasSuffix(" (\(name), \(code))") && line.contains(words)
    }
}

extension String {
    /// Where a part begins.
    fileprivate func range(ofPart part: String) -> String.Index? {
        indices.first { self[$0...].hasPrefix(part) }
    }
}
