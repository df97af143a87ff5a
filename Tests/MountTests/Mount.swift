import Glibc
import TestSupport
import Testing

/// Whether this machine and user can mount, and be other users too.
let canMount = unsafe geteuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0

/// Why not.
let needsRoot: Comment = "needs root and /dev/fuse"

/// A vhdfs of the built binary, mounted for one test.
///
/// Scripts find it in `$M` (the mount point), `$A` (`$M/attached`) and `$PID` (the daemon); they start in the scratch folder.
final class Mount {
    let scratch: ScratchFolder
    /// The mount point.
    let path: String
    private let options: [String]
    private var daemon: RunningCommand

    static let binary = BuiltProgram.vhdfs

    fileprivate init(_ scratch: ScratchFolder, path: String, options: [String]) throws {
        self.scratch = scratch
        self.path = path
        self.options = options
        daemon = try Self.start(path, options, state: scratch.path("state"))
    }

    private static func start(_ path: String, _ options: [String], state: String) throws -> RunningCommand {
        let command = [binary, "--foreground", "--state-dir", state] + options + [path]
        let daemon = try RunningCommand(command)
        for _ in 0..<3000 where daemon.isRunning {
            // It answers a little earlier, before what is permanent has been attached again.
            if daemon.errorOutputSoFar.contains("mounted at ") { return daemon }
            usleep(10_000)
        }
        daemon.stop()
        throw TestSupportError("vhdfs does not mount: \(daemon.errorOutputSoFar)")
    }

    /// The daemon's process.
    var processID: Int32 { daemon.processID }

    /// What the daemon has logged.
    var log: String { daemon.errorOutputSoFar }

    // MARK: Ends

    /// Unmounts, and expects the daemon to end well by itself.
    func unmount(at location: SourceLocation = #_sourceLocation) throws {
        try run("fusermount3", "-u", path).checked()
        let result = daemon.wait(timeout: .seconds(30))
        #expect(result.succeeded, "status \(result.status) \(result.errorOutput)", sourceLocation: location)
    }

    /// Ends the daemon as a crash does, and clears the mount point.
    func kill() throws {
        daemon.send(signal: SIGKILL)
        daemon.wait()
        try run("fusermount3", "-uz", path).checked()
    }

    /// Asks the daemon to end by SIGTERM, and gives its status.
    func terminate() -> CommandResult {
        daemon.send(signal: SIGTERM)
        return daemon.wait(timeout: .seconds(30))
    }

    /// Mounts once more, at the same place.
    func mountAgain() throws {
        daemon = try Self.start(path, options, state: scratch.path("state"))
    }

    /// Takes away whatever is left, however the test ended.
    fileprivate func cleanUp(expectingGoodEnd: Bool) {
        guard daemon.isRunning else {
            clear(path)
            return
        }
        if (try? run("fusermount3", "-u", path).succeeded) != true { clear(path) }
        let result = daemon.wait(timeout: .seconds(30))
        if expectingGoodEnd {
            #expect(result.succeeded, "the daemon ended with \(result.status): \(result.errorOutput)")
        }
        daemon.stop()
        clear(path)
    }

    // MARK: Commands

    private var environment: [String: String] {
        [
            "M": path, "A": "\(path)/attached", "S": scratch.path, "PID": "\(processID)", "VHDFS": Self.binary,
            "LC_ALL": "C",
        ]
    }

    /// Runs a bash script.
    @discardableResult
    func bash(_ script: String, timeout: Duration = .seconds(60)) throws -> CommandResult {
        let prelude = """
            cd "$S"
            fail() { echo "FAILED: $*" >&2; exit 99; }
            eventually() { for _ in $(seq 500); do if "$@"; then return; fi; sleep 0.02; done; fail "never: $*"; }
            gone() { ! test -e "$1"; }

            """
        return try run(["bash", "-c", prelude + script], environment: environment, timeout: timeout)
    }

    /// Runs a bash script that stops at the first failure, and must not have one.
    func check(
        _ script: String,
        timeout: Duration = .seconds(60),
        at location: SourceLocation = #_sourceLocation
    ) throws {
        let result = try bash("set -euo pipefail\n" + script, timeout: timeout)
        let isGood = result.succeeded
        #expect(
            isGood,
            "status \(result.status)\n\(result.output)\n\(result.errorOutput)\nlog: \(log)",
            sourceLocation: location
        )
    }

    /// Runs a Python script that must not fail. It has `os`, `sys`, `errno`, `M`, `A`, `S`, and `ctl(line)`, which gives the errno of a
    /// request, or 0.
    func python(
        _ script: String,
        timeout: Duration = .seconds(60),
        at location: SourceLocation = #_sourceLocation
    ) throws {
        let prelude = """
            import errno, fcntl, mmap, os, random, signal, subprocess, sys, time
            M, A, S = (os.environ[v] for v in 'MAS')
            os.chdir(S)
            def ctl(line):
                fd = os.open(M + '/ctl', os.O_WRONLY)
                try: os.write(fd, (line + '\\n').encode()); return 0
                except OSError as e: return e.errno
                finally: os.close(fd)
            def attach(line):
                assert ctl('attach ' + line) == 0, open(M + '/ctl').read()
            def detach(line):
                assert ctl('detach ' + line) == 0, open(M + '/ctl').read()
            def fails(code, body, *arguments):
                try: body(*arguments)
                except OSError as e: assert e.errno == code, e
                else: assert False, 'no error'

            """
        let result = try run(["python3", "-c", prelude + script], environment: environment, timeout: timeout)
        let isGood = result.succeeded
        #expect(
            isGood,
            "status \(result.status)\n\(result.output)\n\(result.errorOutput)\nlog: \(log)",
            sourceLocation: location
        )
    }

    // MARK: Images

    /// Writes an image of 1 MiB in blocks of 64 KiB, the second of which is filled with `fill`.
    @discardableResult
    func makeVHD(_ name: String, _ subtype: VHDBuilder.Subtype = .dynamic, fill: UInt8 = 1) throws -> VHDBuilder {
        var disk = SparseBytes(count: 1 << 20)
        disk.store([UInt8](repeating: fill, count: 65_536), at: 65_536)
        var builder = VHDBuilder(subtype, disk: disk, blockSize: 65_536)
        builder.uniqueID = [UInt8](repeating: fill, count: 16)
        try scratch.write(builder.build().content, to: name)
        return builder
    }
}

/// Mounts, and takes everything away again whatever happens.
///
/// - Parameter options: of the command line, before the mount point.
func withMount(_ options: String..., body: (Mount) throws -> Void) throws {
    try withMount(options, body: body)
}

/// The same, with options in a list.
func withMount(_ options: [String], body: (Mount) throws -> Void) throws {
    _ = sweepOnce
    try withScratchFolder { scratch in
        try run("chmod", "0755", scratch.path).checked()
        let path = try scratch.makeFolder("\(mountPrefix)\(getpid())")
        let mount = try Mount(scratch, path: path, options: options)
        var isGood = false
        defer { mount.cleanUp(expectingGoodEnd: isGood) }
        try body(mount)
        isGood = true
    }
}

// MARK: - Left-overs

private let mountPrefix = "mount."

/// Detaches loop devices on files below a mount point, and unmounts it with all that is mounted in it.
private func clear(_ path: String) {
    _ = try? run(
        "bash",
        "-c",
        """
        losetup --list --noheadings --raw --output NAME,BACK-FILE | while read -r device file; do
            case $file in "$0"/*) umount -l "$device" 2> /dev/null; losetup -d "$device";; esac
        done
        while mountpoint -q "$0" || ! stat "$0" > /dev/null 2>&1; do fusermount3 -uz "$0" || umount -l "$0" || break; done
        """,
        path
    )
}

/// Clears what test processes have left that were killed: their mount points have their process number.
private let sweepOnce: Void = {
    let script = """
        awk '$9 == "fuse.vhdfs" || $8 == "fuse.vhdfs" || $10 == "fuse.vhdfs" { print $5 }' /proc/self/mountinfo
        """
    let mounted = (try? run("bash", "-c", script).output) ?? ""
    for path in mounted.split(separator: "\n").map(String.init) where path.contains("/vhdfs-tests.") {
        guard let name = path.split(separator: "/").last, name.hasPrefix(mountPrefix),
            let owner = pid_t(name.dropFirst(mountPrefix.count)), kill(owner, 0) != 0
        else { continue }
        // The daemon's last argument is its mount point; so is this script's.
        let killDaemon = """
            for process in /proc/[0-9]*; do
                last=$(tr '\\0' '\\n' < $process/cmdline 2> /dev/null | tail -n 1)
                test "$last" != "$0" || test ${process#/proc/} = $$ || kill -9 ${process#/proc/}
            done
            """
        _ = try? run("bash", "-c", killDaemon, path)
        clear(path)
        let folder = path.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" }
        _ = try? run("rm", "-rf", "--one-file-system", folder)
    }
}()
