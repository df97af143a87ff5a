import Glibc
import TestSupport
import Testing

/// The verbs that talk to a running file system.
@Suite(.enabled(if: commandLineCanMount, commandLineMountReason))
struct CommandLineVerbTests {
    @Test("attach prints the folder, takes the words of ctl, and outlives its process")
    func attach() throws {
        try withCommandLineScene { scene in
            try scene.mount().checked()
            let plain = try scene.verb("attach", try scene.vhd("a.vhd", beginsWith: "hello")).checked()
            #expect(plain.output == "\(scene.mountPoint)/attached/a\n")
            #expect(try scene.read("attached/a/disk").hasPrefix("hello"))
            try scene.verb("attach", try scene.vhd("b.vhd"), "-r", "name=other", "mode=0400").checked()
            let info = try scene.read("attached/other/info")
            #expect(info.contains("flags: readonly\n") && info.contains("lifetime: file-system\n"), "\(info)")
            #expect(scene.attached == ["a", "other"])
        }
    }

    @Test("Relative paths are those of the caller, parents too")
    func relativePaths() throws {
        try withCommandLineScene { scene in
            var parent = VHDBuilder(
                .dynamic,
                disk: SparseBytes(Array("parent".utf8) + [UInt8](repeating: 0, count: 65530))
            )
            parent.uniqueID = [UInt8](repeating: 7, count: 16)
            var child = VHDBuilder(.differencing, size: 65536)
            child.setParent(parent, file: "elsewhere.vhd")
            try scene.folder.makeFolder("sub")
            try scene.folder.write(parent.build().content, to: "sub/p.vhd")
            try scene.folder.write(child.build().content, to: "c.vhd")
            try scene.mount().checked()
            try scene.shell("cd \"$FOLDER/sub\"; \"$VHDFS\" attach --at ../m ../c.vhd parent=p.vhd -r").checked()
            #expect(try scene.read("attached/c/disk").hasPrefix("parent"))
        }
    }

    @Test("An ISO image is attached read-only by itself; another image is never")
    func attachISO() throws {
        try withCommandLineScene { scene in
            try scene.mount().checked()
            try scene.verb("attach", try scene.iso("cd.iso")).checked()
            #expect(try scene.read("attached/cd/info").contains("read_only: yes\n"))
            let image = try scene.vhd("a.vhd")
            let result = try scene.shellWithOwnMounts(
                """
                mkdir "$FOLDER/ro"; mount --bind "$FOLDER" "$FOLDER/ro"; mount -o remount,ro,bind "$FOLDER/ro"
                "$VHDFS" none "$FOLDER/home" --state-dir "$FOLDER/state"
                "$VHDFS" attach "$FOLDER/ro/a.vhd"
                """
            )
            #expect(result.hasFailed("ERROR_WRITE_PROTECT", 19, about: "a.vhd"), "\(image) \(result.errorOutput)")
        }
    }

    @Test("What was wrong is told exactly, whatever went wrong before")
    func attachFails() throws {
        try withCommandLineScene { scene in
            try scene.mount().checked()
            let image = try scene.vhd("a.vhd")
            try scene.verb("attach", image).checked()
            // More failures than the file system remembers, all the same, and then others.
            for _ in 0..<17 {
                let again = try scene.verb("attach", image)
                #expect(again.hasFailed("ERROR_SHARING_VIOLATION", 32, about: "\(image): already attached as a"))
            }
            let missing = try scene.verb("attach", scene.path("none.vhd"))
            #expect(
                missing.hasFailed("ERROR_FILE_NOT_FOUND", 2, about: scene.path("none.vhd")),
                "\(missing.errorOutput)"
            )
            let noImage = try scene.verb("attach", try scene.text("t"))
            #expect(noImage.hasFailed("ERROR_VIRTDISK_PROVIDER_NOT_FOUND", 0xC03A_0014, about: "type=raw"))
            let flags = try scene.verb("attach", try scene.vhd("b.vhd"), "flags=0x40")
            #expect(flags.hasFailed("ERROR_INVALID_PARAMETER", 87, about: "0x40"), "\(flags.errorOutput)")
            #expect(scene.attached == ["a"])
        }
    }

    @Test("detach takes a name, a path, and the path of a link to the image")
    func detach() throws {
        try withCommandLineScene { scene in
            let image = try scene.vhd("a.vhd")
            try run("ln", "-s", "a.vhd", scene.path("link.vhd")).checked()
            try scene.mount().checked()
            for target in ["a", image, scene.path("link.vhd"), "\(scene.folder.path)/./m/../a.vhd"] {
                try scene.verb("attach", image).checked()
                try scene.verb("detach", target).checked()
                #expect(scene.attached == [], "\(target)")
            }
            try scene.verb("attach", image).checked()
            try scene.shell("cd \"$FOLDER\"; \"$VHDFS\" detach --at m a.vhd").checked()
            #expect(scene.attached == [])
            #expect(try scene.verb("detach", "a").hasFailed("ERROR_NOT_FOUND", 1168, about: "a: not attached"))
        }
    }

    @Test("A name goes before a file of that name")
    func nameBeforeFile() throws {
        try withCommandLineScene { scene in
            try scene.mount(try scene.vhd("a.vhd"), try scene.vhd("b")).checked()
            try scene.shell("cd \"$FOLDER\"; cp b a; \"$VHDFS\" detach --at m a").checked()
            #expect(scene.attached == ["b"])
        }
    }

    @Test("detach of a disk in use names the user; force ends it")
    func detachForce() throws {
        try withCommandLineScene { scene in
            try scene.mount(try scene.vhd("a.vhd")).checked()
            let holder = try RunningCommand(["tail", "-f", "\(scene.mountPoint)/attached/a/disk"])
            defer { holder.stop() }
            #expect(commandLineEventually { CommandLineScene.names(in: "/proc/\(holder.processID)/fd").count > 3 })
            let busy = try scene.verb("detach", "a")
            #expect(busy.hasFailed("ERROR_SHARING_VIOLATION", 32, about: "tail"), "\(busy.errorOutput)")
            try scene.verb("detach", "a", "force").checked()
            #expect(scene.attached == [])
        }
    }

    @Test("list names disks with image and words; as JSON it is an array of what info.json says")
    func list() throws {
        try withCommandLineScene { scene in
            try scene.mount().checked()
            #expect(try scene.verb("list").checked().output == "")
            #expect(try scene.verb("list", "--json").checked().output == "[]\n")
            try scene.verb("attach", try scene.vhd("a b.vhd")).checked()
            try scene.verb("attach", try scene.iso("cd.iso")).checked()
            let lines = try scene.verb("list").checked().output
            #expect(lines == "a_b '\(scene.path("a b.vhd"))'\ncd \(scene.path("cd.iso")) readonly\n")
            let json = try scene.verb("list", "--json").checked().outputBytes
            let script = "import json, sys; print(*[(d['name'], d['format'], d['path']) for d in json.load(sys.stdin)])"
            let names = try run(["python3", "-c", script], input: json).checked().output
            #expect(names == "('a_b', 'vhd', '\(scene.path("a b.vhd"))') ('cd', 'iso', '\(scene.path("cd.iso"))')\n")
        }
    }

    @Test("info tells of attached disks as their files do, and of images that are not attached")
    func info() throws {
        try withCommandLineScene { scene in
            let image = try scene.vhd("a.vhd")
            let other = try scene.vhd("b.vhd")
            try scene.mount(image).checked()
            for target in ["a", image] {
                #expect(try scene.verb("info", target).checked().output == (try scene.read("attached/a/info")))
                #expect(
                    try scene.verb("info", "--json", target).checked().output
                        == (try scene.read("attached/a/info.json"))
                )
            }
            #expect(try scene.verb("info", other).hasFailed("ERROR_NOT_FOUND", 1168, about: other))
            var environment = scene.environment
            environment["VHDFS_MOUNTPOINT"] = scene.mountPoint
            let free = try run([CommandLineScene.program, "info", other], environment: environment).checked().output
            #expect(free.contains("path: \(other)\n") && free.contains("read_only: yes\n"))
            #expect(free.contains("state: not attached\n"))
        }
    }

    @Test("Verbs find their file system: --at, then the environment, then the only one")
    func finding() throws {
        try withCommandLineScene { scene in
            try scene.vhd("a.vhd")
            try scene.folder.makeFolder("n")
            let result = try scene.shellWithOwnMounts(
                """
                cd "$FOLDER"
                "$VHDFS" list 2>&1 || echo "status $?"
                "$VHDFS" a.vhd m --state-dir state
                "$VHDFS" list
                "$VHDFS" n --state-dir state
                "$VHDFS" list 2>&1 || echo "status $?"
                VHDFS_MOUNTPOINT=m "$VHDFS" list
                VHDFS_MOUNTPOINT=m "$VHDFS" list --at n
                VHDFS_MOUNTPOINT=home "$VHDFS" list 2>&1 || echo "status $?"
                umount m n
                """
            ).checked()
            let how = "say which one with --at MOUNTPOINT or in VHDFS_MOUNTPOINT (ERROR_NOT_FOUND, 1168)\nstatus 1\n"
            #expect(
                result.output == """
                    vhdfs: you have mounted no vhdfs; mount one, or \(how)a \(scene.path("a.vhd"))
                    vhdfs: you have mounted several: \(scene.mountPoint), \(scene.path("n")); \(how)a \(scene.path("a.vhd"))
                    vhdfs: \(scene.path("home")): no vhdfs is mounted there (ERROR_NOT_FOUND, 1168)
                    status 1

                    """
            )
        }
    }

    @Test("A dead file system is called so")
    func dead() throws {
        try withCommandLineScene { scene in
            try scene.mountInForeground().stop()
            #expect(try scene.verb("list").hasFailed("ERROR_DEV_NOT_EXIST", 55, about: "dead"))
        }
    }
}
