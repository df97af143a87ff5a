import Glibc
import TestSupport
import Testing

/// `vhdfs [IMAGE…] MOUNTPOINT`: what a start does, and what is left of one that fails.
@Suite(.enabled(if: commandLineCanMount, commandLineMountReason))
struct CommandLineMountTests {
    @Test("When the command returns, the images are attached and the daemon is out of the way")
    func mounts() throws {
        try withCommandLineScene { scene in
            let result = try scene.mount(try scene.vhd("a.vhd", beginsWith: "first"), try scene.vhd("b.vhd")).checked()
            #expect(result.output == "" && result.errorOutput == "")
            #expect(scene.attached == ["a", "b"])
            #expect(try scene.read("attached/a/disk").hasPrefix("first"))
            #expect(scene.mountLine?.contains(" fuse.vhdfs ") == true)
            let daemon = try #require(scene.daemons.first)
            let links = try run("readlink", "/proc/\(daemon)/cwd", "/proc/\(daemon)/fd/0", "/proc/\(daemon)/fd/2")
                .output
            #expect(links == "/\n/dev/null\n/dev/null\n")
        }
    }

    @Test("Relative paths are those of the caller's folder")
    func relativePaths() throws {
        try withCommandLineScene { scene in
            try scene.vhd("a.vhd")
            try scene.shell("cd \"$FOLDER\"; \"$VHDFS\" a.vhd m -o permanent --state-dir state").checked()
            #expect(try scene.read("attached/a/info").contains("path: \(scene.path("a.vhd"))\n"))
            #expect(CommandLineScene.names(in: scene.path("state")).count == 1)
        }
    }

    @Test("A path need not be UTF-8")
    func foreignBytes() throws {
        try withCommandLineScene { scene in
            try scene.vhd("a.vhd")
            try scene.shell(
                """
                cd "$FOLDER"; f=$(printf 'x\\377.vhd'); mv a.vhd "$f"
                "$VHDFS" "$f" m --state-dir state
                "$VHDFS" list --at m | LC_ALL=C grep -qF "x_ '$FOLDER/$f'"
                "$VHDFS" detach --at m "$f"; "$VHDFS" attach --at m "$f"
                """
            ).checked()
            #expect(scene.attached == ["x_"])
        }
    }

    @Test("A mount point that is missing, or no folder, is status 1")
    func badMountPoint() throws {
        try withCommandLineScene { scene in
            let image = try scene.vhd("a.vhd")
            let missing = try scene.vhdfs(image, scene.path("missing"), "--state-dir", scene.path("state"))
            #expect(
                missing.hasFailed("ERROR_PATH_NOT_FOUND", 3, about: scene.path("missing")),
                "\(missing.errorOutput)"
            )
            let file = try scene.vhdfs(image, image, "--state-dir", scene.path("state"))
            #expect(file.hasFailed("ERROR_PATH_NOT_FOUND", 3, about: image), "\(file.errorOutput)")
            #expect(scene.daemons.isEmpty)
        }
    }

    @Test("When one operand fails, nothing stays mounted, attached or running", arguments: [false, true])
    func badOperand(isForeground: Bool) throws {
        try withCommandLineScene { scene in
            let good = try scene.vhd("a.vhd")
            let option = isForeground ? ["-f", "--log-level", "critical"] : []
            func start(_ operand: String) throws -> CommandResult {
                try run(
                    [CommandLineScene.program, good, operand, scene.mountPoint, "--state-dir", scene.path("state")]
                        + option,
                    environment: scene.environment
                )
            }
            let missing = try start(scene.path("none.vhd"))
            #expect(
                missing.hasFailed("ERROR_FILE_NOT_FOUND", 2, about: scene.path("none.vhd")),
                "\(missing.errorOutput)"
            )
            let noImage = try start(try scene.text("x.vhd"))
            #expect(noImage.hasFailed("ERROR_VIRTDISK_PROVIDER_NOT_FOUND", 0xC03A_0014, about: "x.vhd"))
            #expect(!scene.isMounted)
            #expect(scene.daemons.isEmpty)
            try scene.mount(good).checked()
        }
    }

    @Test("A start whose caller has been interrupted is taken back")
    func interruptedStart() throws {
        try withCommandLineScene { scene in
            let inner = try scene.mountInForeground(try scene.vhd("a.vhd"))
            defer { inner.stop() }
            // An image that nobody can open for now.
            inner.send(signal: SIGSTOP)
            let outer = try scene.folder.makeFolder("n")
            let image = "\(scene.mountPoint)/attached/a/disk"
            let words = [image, outer, "--state-dir", scene.path("state"), "-o", "type=raw"]
            let start = try RunningCommand([CommandLineScene.program] + words, environment: scene.environment)
            defer { start.stop() }
            func isMounted() -> Bool {
                CommandLineScene.lines(of: "/proc/mounts").contains { $0.contains(" \(outer) ") }
            }
            #expect(commandLineEventually(isMounted))
            start.send(signal: SIGINT)
            #expect(start.wait().status == 128 + SIGINT)
            inner.send(signal: SIGCONT)
            #expect(commandLineEventually { scene.daemons.count == 2 })
            #expect(!isMounted())
            #expect(scene.attached == ["a"])
        }
    }

    @Test("What a failed start has attached permanently is not remembered")
    func badPermanentOperand() throws {
        try withCommandLineScene { scene in
            let good = try scene.vhd("a.vhd")
            let failed = try scene.mount(good, scene.path("none.vhd"), "-o", "permanent")
            #expect(failed.hasFailed("ERROR_FILE_NOT_FOUND", 2), "\(failed.status) \(failed.errorOutput)")
            try scene.mount().checked()
            #expect(scene.attached == [])
        }
    }

    @Test("A permanent operand comes back by itself, and the same command works again, as fstab has it")
    func permanentOperand() throws {
        try withCommandLineScene { scene in
            let image = try scene.vhd("a.vhd")
            for _ in 0..<2 {
                try scene.mount(image, "-o", "permanent").checked()
                #expect(scene.attached == ["a"])
                try scene.vhdfs("unmount", scene.mountPoint).checked()
            }
            try scene.mount().checked()
            #expect(scene.attached == ["a"])
        }
    }

    @Test("'none' is no image, and the source that the mount shows")
    func noImage() throws {
        try withCommandLineScene { scene in
            try scene.mount("none").checked()
            #expect(scene.attached == [])
            #expect(scene.mountLine?.hasPrefix("none ") == true)
        }
    }

    @Test("ISO images are attached read-only by themselves, others beside them are not")
    func isoOperand() throws {
        try withCommandLineScene { scene in
            try scene.mount(try scene.iso("cd.img"), try scene.vhd("a.vhd")).checked()
            #expect(try scene.read("attached/cd/info").contains("read_only: yes\n"))
            #expect(try scene.read("attached/a/info").contains("read_only: no\n"))
        }
    }

    @Test(
        "Read-only mounts attach nothing in another way",
        arguments: [["-r"], ["--read-only"], ["-o", "ro"], ["-orw,ro"]]
    )
    func readOnly(option: [String]) throws {
        try withCommandLineScene { scene in
            let image = try scene.vhd("a.vhd")
            let other = try scene.vhd("b.vhd")
            let command =
                [CommandLineScene.program, image, scene.mountPoint, "--state-dir", scene.path("state")] + option
            try run(command, environment: scene.environment).checked()
            #expect(try scene.read("attached/a/info").contains("read_only: yes\n"))
            #expect(try scene.verb("attach", other).hasFailed("ERROR_WRITE_PROTECT", 19))
            try scene.verb("attach", other, "-r").checked()
        }
    }

    @Test("Attach words among the options hold for all operands")
    func attachWords() throws {
        try withCommandLineScene { scene in
            let images = (try scene.vhd("a.vhd"), try scene.text("raw"))
            try scene.mount(images.0, images.1, "-o", "type=raw,mode=0640", "-oowner=12,group=34").checked()
            let facts = try run("stat", "-c", "%a %u %g", "\(scene.mountPoint)/attached/a/disk").checked().output
            #expect(facts == "640 12 34\n")
            #expect(try scene.read("attached/raw/info").contains("format: raw\n"))
        }
    }

    @Test("Options for the kernel reach it, and words of fstab are passed over")
    func mountOptions() throws {
        try withCommandLineScene { scene in
            let words =
                "rw,defaults,nofail,_netdev,noauto,user,users,x-systemd.automount,x-y=1,comment=z,relatime,dev,suid,exec"
            try scene.mount(
                "-o",
                words,
                "-o",
                "allow_other,max_read=65536,default_permissions",
                "-ofsname=a\\,b,noexec"
            ).checked()
            let line = try #require(scene.mountLine)
            #expect(line.hasPrefix("a,b "), "\(line)")
            #expect(
                line.contains("allow_other") && line.contains("max_read=65536") && line.contains("noexec"),
                "\(line)"
            )
            #expect(line.contains("rw,"))
        }
    }

    @Test("A time that is none is refused before anything is mounted", arguments: ["", "-1", "x", "86401", "1s"])
    func hostTimeout(value: String) throws {
        try withCommandLineScene { scene in
            let result = try scene.mount("-o", "host-timeout=\(value)")
            #expect(result.status == 64 && result.errorOutput.contains("host-timeout="), "\(result.errorOutput)")
            #expect(scene.mountLine == nil)
            try scene.mount("-o", "host-timeout=0").checked()
        }
    }

    @Test("A mount of one image shows it as its source, as fstab would have it")
    func source() throws {
        try withCommandLineScene { scene in
            let image = try scene.vhd("a.vhd")
            try scene.mount(image).checked()
            #expect(scene.mountLine?.hasPrefix("\(image) ") == true)
        }
    }

    @Test("mount -t fuse.vhdfs and a line of fstab work")
    func mountCommand() throws {
        try withCommandLineScene { scene in
            let image = try scene.vhd("a.vhd")
            try scene.folder.write(
                Array(
                    "\(image) \(scene.mountPoint) fuse.vhdfs ro,noauto,nofail,x-z,state-dir=\(scene.path("state")) 0 0\n"
                        .utf8
                ),
                to: "fstab"
            )
            // mount(8) hands on no PATH: the program must be where the shell looks by itself.
            let result = try scene.shellWithOwnMounts(
                """
                mount --bind "${VHDFS%/vhdfs}" /usr/local/bin
                mount -t fuse.vhdfs "\(image)" "$MOUNTPOINT" -o ro,state-dir="$FOLDER/state"
                grep read_only "$MOUNTPOINT/attached/a/info"
                vhdfs unmount "$MOUNTPOINT"
                mount -T "$FOLDER/fstab" "$MOUNTPOINT"
                grep read_only "$MOUNTPOINT/attached/a/info"
                ! mount -t fuse.vhdfs none "$MOUNTPOINT"
                vhdfs unmount "$MOUNTPOINT"
                """
            ).checked()
            #expect(result.output == "read_only: yes\nread_only: yes\n")
            #expect(result.errorOutput.contains("already mounted"))
        }
    }

    @Test("In the foreground it logs to standard error, and ends with the mount")
    func foreground() throws {
        try withCommandLineScene { scene in
            let daemon = try scene.mountInForeground(try scene.vhd("a.vhd"))
            defer { daemon.stop() }
            #expect(daemon.errorOutputSoFar.contains("vhdfs: info: attached \(scene.path("a.vhd")) as a\n"))
            try run("umount", scene.mountPoint).checked()
            #expect(daemon.wait().succeeded)
        }
    }

    @Test("In the background it logs to syslog")
    func systemLog() throws {
        try withCommandLineScene { scene in
            try scene.vhd("100%s.vhd")
            // A /dev of its own, whose log we are.
            let result = try scene.shellWithOwnMounts(
                """
                cd "$FOLDER"; mkdir dev; mount -t tmpfs none dev
                mknod -m 666 dev/null c 1 3; mknod -m 666 dev/fuse c 10 229; mount --bind dev /dev
                cat > log.py << 'END'
                import socket, sys
                log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                log.settimeout(30)
                log.bind("/dev/log")
                line = b""
                while b"unmounted" not in line:
                    line = log.recv(4096)
                    print(line.decode(), flush=True)
                END
                python3 log.py &
                while ! [ -S /dev/log ]; do sleep 0.01; done
                "$VHDFS" 100%s.vhd m --state-dir state
                "$VHDFS" unmount m
                wait
                """
            ).checked()
            let line = try Regex("<30>.* vhdfs\\[[0-9]+\\]: attached \(scene.path("100%s.vhd")) as 100_s")
            #expect(result.output.contains(line), "\(result.output)")
        }
    }

    @Test("--log-level decides what is logged")
    func logLevel() throws {
        try withCommandLineScene { scene in
            let words = [
                "-f", "--log-level", "error", "--state-dir", scene.path("state"), try scene.vhd("a.vhd"),
                scene.mountPoint,
            ]
            let daemon = try RunningCommand([CommandLineScene.program] + words, environment: scene.environment)
            defer { daemon.stop() }
            #expect(commandLineEventually { scene.attached == ["a"] })
            try run("umount", scene.mountPoint).checked()
            let result = daemon.wait()
            #expect(result.succeeded && result.errorOutput == "", "\(result.errorOutput)")
        }
    }

    @Test("A living file system is not mounted over")
    func alreadyMounted() throws {
        try withCommandLineScene { scene in
            try scene.mount(try scene.vhd("a.vhd")).checked()
            let again = try scene.mount()
            #expect(again.hasFailed("ERROR_ALREADY_EXISTS", 183, about: "already mounted"), "\(again.errorOutput)")
            #expect(scene.attached == ["a"])
            #expect(scene.daemons.count == 2)
        }
    }

    @Test("What a killed daemon left is cleaned, also behind a link")
    func staleMount() throws {
        try withCommandLineScene { scene in
            let image = try scene.vhd("a.vhd")
            try run("ln", "-s", "m", scene.path("link")).checked()
            for mountPoint in [scene.mountPoint, scene.path("link")] {
                let daemon = try scene.mountInForeground(image)
                daemon.stop()
                #expect(scene.isMounted)
                try scene.vhdfs(image, mountPoint, "--state-dir", scene.path("state")).checked()
                #expect(scene.attached == ["a"])
                #expect(CommandLineScene.lines(of: "/proc/mounts").filter { $0.contains(scene.mountPoint) }.count == 1)
                try scene.vhdfs("unmount", mountPoint).checked()
            }
        }
    }

    // MARK: The state directory

    @Test("A state directory that others could change is refused")
    func unfitStateDirectory() throws {
        try withCommandLineScene { scene in
            try scene.shell(
                "cd \"$FOLDER\"; mkdir -m 700 good; ln -s good link; mkdir -m 770 wide; mkdir -m 700 foreign; chown 12 foreign"
            )
            .checked()
            for name in ["link", "wide", "foreign"] {
                let result = try scene.vhdfs(scene.mountPoint, "--state-dir", scene.path(name))
                #expect(result.hasFailed("ERROR_ACCESS_DENIED", 5, about: scene.path(name)), "\(result.errorOutput)")
            }
            #expect(scene.daemons.isEmpty)
            try scene.vhdfs(scene.mountPoint, "-o", "state-dir=\(scene.path("good"))").checked()
        }
    }

    @Test("One that can't be made is an error only for what is permanent")
    func impossibleStateDirectory() throws {
        try withCommandLineScene { scene in
            let image = try scene.vhd("a.vhd")
            try scene.vhdfs(scene.mountPoint, "--state-dir", "/proc/no/such/place").checked()
            let permanent = try scene.verb("attach", image, "permanent")
            #expect(permanent.status == 1 && permanent.errorOutput.contains("--state-dir"), "\(permanent.errorOutput)")
            try scene.verb("attach", image).checked()
        }
    }

    // MARK: Others

    @Test("Members of --manage-group may attach, others may not", arguments: ["--manage-group", "-o"])
    func manageGroup(option: String) throws {
        try withCommandLineScene { scene in
            let image = try scene.vhd("a.vhd")
            try run("chmod", "755", scene.folder.path).checked()
            try run("chown", "65534", image).checked()
            let value = option == "-o" ? "manage-group=54321" : "54321"
            try scene.mount("-o", "allow_other", option, value).checked()
            func attach(group: String) throws -> CommandResult {
                let user = ["setpriv", "--reuid=65534", "--regid=\(group)", "--clear-groups"]
                let script = "echo \"attach $FOLDER/a.vhd\" > \"$MOUNTPOINT/ctl\""
                return try run(user + ["sh", "-ec", script], environment: scene.environment)
            }
            #expect(try !attach(group: "65534").succeeded)
            #expect(scene.attached == [])
            try attach(group: "54321").checked()
            #expect(scene.attached == ["a"])
        }
    }
}
