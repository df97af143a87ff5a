import Glibc
import TestSupport
import Testing

/// How a file system ends, and what must be true then.
@Suite(.enabled(if: commandLineCanMount, commandLineMountReason))
struct CommandLineEndTests {
    @Test(
        "Unmounting ends the daemon with status 0, and the image is complete and free",
        arguments: ["umount", "fusermount3 -u"]
    )
    func unmounted(command: String) throws {
        try withCommandLineScene { scene in
            let image = try scene.vhd("a.vhd")
            let daemon = try scene.mountInForeground(image)
            defer { daemon.stop() }
            try scene.shell("printf written | dd of=\"$MOUNTPOINT/attached/a/disk\" conv=notrunc status=none").checked()
            try scene.shell("\(command) \"$MOUNTPOINT\"").checked()
            #expect(daemon.wait().succeeded)
            #expect(try readFile(image)[0..<7] == Array("written".utf8))
            try run("flock", "-n", image, "true").checked()
        }
    }

    @Test("A signal ends it with files open, without losing what was written", arguments: [SIGTERM, SIGINT, SIGHUP])
    func signalled(signal: Int32) throws {
        try withCommandLineScene { scene in
            let image = try scene.vhd("a.vhd")
            let daemon = try scene.mountInForeground(image)
            defer { daemon.stop() }
            let disk = unsafe open("\(scene.mountPoint)/attached/a/disk", O_RDWR | O_CLOEXEC)
            try #require(disk >= 0)
            defer { close(disk) }
            #expect(unsafe pwrite(disk, "written", 7, 512) == 7)
            // Changed through a mapping, and known to nobody but the kernel.
            let memory = unsafe mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, disk, 4096)
            guard let memory = unsafe memory, unsafe memory != MAP_FAILED else {
                throw TestSupportError("mmap: errno \(errno)")
            }
            defer { unsafe munmap(memory, 4096) }
            unsafe memory.copyMemory(from: "mapped", byteCount: 6)

            daemon.send(signal: signal)
            let result = daemon.wait()
            #expect(result.succeeded, "\(result.errorOutput)")
            #expect(!scene.isMounted)
            let content = try readFile(image)
            #expect(content[512..<519] == Array("written".utf8))
            #expect(content[4096..<4102] == Array("mapped".utf8))
            let late = unsafe pwrite(disk, "late", 4, 65536)
            #expect(late == -1 && errno == ENOTCONN)
            try run("flock", "-n", image, "true").checked()
        }
    }

    @Test("A daemon in the background ends on a signal too, and leaves no process")
    func signalledInBackground() throws {
        try withCommandLineScene { scene in
            try scene.mount(try scene.vhd("a.vhd")).checked()
            let daemon = try #require(scene.daemons.min())
            kill(daemon, SIGTERM)
            #expect(commandLineEventually { scene.daemons.isEmpty })
            #expect(!scene.isMounted)
        }
    }

    @Test("A second signal ends it at once with status 1 when the first can't, and leaves no mount")
    func signalledTwice() throws {
        try withCommandLineScene { scene in
            try scene.folder.makeFolder("n")
            // An image whose file system stops to answer.
            let inner = try scene.mountInForeground(try scene.vhd("a.vhd"))
            defer { inner.stop() }
            let image = "\(scene.mountPoint)/attached/a/disk"
            let words = ["-f", "-o", "type=raw", "--state-dir", scene.path("state"), image, scene.path("n")]
            let outer = try RunningCommand([CommandLineScene.program] + words, environment: scene.environment)
            defer {
                inner.send(signal: SIGCONT)
                outer.stop()
            }
            #expect(commandLineEventually { CommandLineScene.names(in: scene.path("n/attached")) == ["disk"] })
            inner.send(signal: SIGSTOP)
            let writer = try RunningCommand([
                "dd", "if=/dev/zero", "of=\(scene.path("n/attached/disk/disk"))", "bs=4k", "count=1", "conv=notrunc",
            ])
            defer { writer.stop() }
            #expect(commandLineEventually { isWaitingForFUSE(outer.processID) })

            outer.send(signal: SIGTERM)
            #expect(commandLineEventually { outer.errorOutputSoFar.contains("unmounting") })
            // A pair of signals is one wish, and a hang-up none.
            outer.send(signal: SIGTERM)
            outer.send(signal: SIGHUP)
            usleep(1_500_000)
            #expect(!outer.errorOutputSoFar.contains("giving up"))
            outer.send(signal: SIGTERM)
            #expect(commandLineEventually { outer.errorOutputSoFar.contains("giving up") })
            let mounts = { CommandLineScene.lines(of: "/proc/mounts").filter { $0.contains(scene.path("n")) } }
            #expect(commandLineEventually { mounts().isEmpty })
            // Its own open file lets it go only now.
            inner.send(signal: SIGCONT)
            #expect(outer.wait().status == 1)
        }
    }

    /// Whether a thread of a process waits for another process's FUSE file system.
    private func isWaitingForFUSE(_ process: Int32) -> Bool {
        let folder = "/proc/\(process)/task"
        return CommandLineScene.names(in: folder).contains { thread in
            let place = CommandLineScene.contents(of: "\(folder)/\(thread)/wchan")
            return String(decoding: place, as: UTF8.self).contains("request_wait_answer")
        }
    }

    @Test("'vhdfs unmount' waits for the daemon's end")
    func unmountWaits() throws {
        try withCommandLineScene { scene in
            let daemon = try scene.mountInForeground(try scene.vhd("a.vhd"))
            defer { daemon.stop() }
            // A daemon that is stopped can't end.
            daemon.send(signal: SIGSTOP)
            let command = [CommandLineScene.program, "unmount", scene.mountPoint]
            let unmount = try RunningCommand(command, environment: scene.environment)
            defer { unmount.stop() }
            #expect(commandLineEventually { !scene.isMounted })
            usleep(300_000)
            #expect(unmount.isRunning)
            daemon.send(signal: SIGCONT)
            #expect(unmount.wait().succeeded)
            #expect(daemon.wait().succeeded)
        }
    }

    @Test("'vhdfs unmount' names who has files open, and nobody else")
    func unmountBusy() throws {
        try withCommandLineScene { scene in
            try scene.mount(try scene.vhd("a.vhd")).checked()
            let holder = try RunningCommand(["tail", "-f", "\(scene.mountPoint)/attached/a/disk"])
            defer { holder.stop() }
            let name = "tail (pid \(holder.processID))"
            #expect(commandLineEventually { CommandLineScene.names(in: "/proc/\(holder.processID)/fd").count > 3 })
            let result = try scene.vhdfs("unmount", scene.mountPoint)
            #expect(result.hasFailed("ERROR_SHARING_VIOLATION", 32, about: name), "\(result.errorOutput)")
            #expect(!result.errorOutput.contains("vhdfs ("), "\(result.errorOutput)")
            #expect(scene.attached == ["a"])
            holder.stop()
            try scene.vhdfs("unmount", scene.mountPoint).checked()
        }
    }

    @Test("'vhdfs unmount' takes away a dead file system, and touches nothing that is not ours")
    func unmountOthers() throws {
        try withCommandLineScene { scene in
            let nothing = try scene.vhdfs("unmount", scene.mountPoint)
            #expect(nothing.hasFailed("ERROR_NOT_FOUND", 1168, about: scene.mountPoint))
            let foreign = try scene.vhdfs("unmount", "/proc")
            #expect(foreign.hasFailed("ERROR_NOT_FOUND", 1168, about: "/proc"))
            try scene.mountInForeground().stop()
            #expect(scene.isMounted)
            try scene.vhdfs("unmount", scene.mountPoint).checked()
            #expect(!scene.isMounted)
        }
    }
}
