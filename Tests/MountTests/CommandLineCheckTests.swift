import Glibc
import TestSupport
import Testing

/// `vhdfs check`: its statuses, what it prints where, and that it leaves the file alone. Nothing is mounted here, unless said.
@Suite struct CommandLineCheckTests {
    private static let dynamic = VHDBuilder(
        .dynamic,
        disk: SparseBytes([UInt8](repeating: 7, count: 20_480)),
        blockSize: 4096
    )

    /// Checks a file, and that nothing of it has changed, its times included.
    private func check(_ image: String, _ words: String..., in scene: CommandLineScene) throws -> CommandResult {
        let script = "sha256sum \"$1\"; stat -c '%Y %Z %s %b' \"$1\""
        let before = try run("sh", "-c", script, "sh", image).output
        let result = try run([CommandLineScene.program, "check", image] + words, environment: scene.environment)
        #expect(try run("sh", "-c", script, "sh", image).output == before)
        return result
    }

    @Test("A clean image is status 0 and one line")
    func clean() throws {
        try withCommandLineScene { scene in
            let image = try scene.folder.write(Self.dynamic.build().content, to: "a.vhd")
            let result = try check(image, in: scene)
            #expect(result.status == 0 && result.errorOutput == "")
            #expect(
                result.output
                    == "result: clean; VHD, dynamic disk of 20480 bytes, 5 of 5 blocks of 4096 bytes allocated\n",
                "\(result.output)"
            )
        }
    }

    @Test("Damage is status 2, a leak alone is 3, and findings go to stdout")
    func findings() throws {
        try withCommandLineScene { scene in
            var builder = Self.dynamic
            builder.gaps[2] = 100
            let leaky = try check(try scene.folder.write(builder.build().content, to: "leaky.vhd"), in: scene)
            #expect(leaky.status == 3 && leaky.errorOutput == "", "\(leaky.errorOutput)")
            #expect(leaky.output.hasPrefix("leak: ") && leaky.output.contains("\nresult: not damaged, "))
            builder.entryOverrides[4] = 0x0100_0000
            let damaged = try check(try scene.folder.write(builder.build().content, to: "damaged.vhd"), in: scene)
            #expect(damaged.status == 2 && damaged.errorOutput == "", "\(damaged.errorOutput)")
            let lines = damaged.output.split(separator: "\n")
            #expect(lines.first?.hasPrefix("damaged: block allocation table entry 4 at offset ") == true, "\(lines)")
            #expect(lines.last?.hasPrefix("result: damaged, 1 finding, ") == true, "\(lines)")
        }
    }

    @Test("What can't be checked is status 1, with one line on stderr and the Windows name")
    func cannotBeChecked() throws {
        try withCommandLineScene { scene in
            let missing = try scene.vhdfs("check", scene.path("none.vhd"))
            #expect(missing.hasFailed("ERROR_FILE_NOT_FOUND", 2, about: "none.vhd"), "\(missing.errorOutput)")
            let text = try check(try scene.text("a.txt"), in: scene)
            #expect(
                text.hasFailed("ERROR_VIRTDISK_PROVIDER_NOT_FOUND", 0xC03A_0014, about: "say type=vhd or type=vhdx"),
                "\(text.errorOutput)"
            )
            let iso = try check(try scene.iso("a.iso"), in: scene)
            #expect(iso.hasFailed("ERROR_NOT_SUPPORTED", 50, about: "ISO"), "\(iso.errorOutput)")
            let raw = try check(try scene.text("raw"), "type=raw", in: scene)
            #expect(raw.hasFailed("ERROR_NOT_SUPPORTED", 50, about: "raw"), "\(raw.errorOutput)")
            let folder = try scene.vhdfs("check", scene.mountPoint)
            #expect(folder.status == 1 && folder.output == "", "\(folder.errorOutput)")
        }
    }

    @Test("What an image says can't steer a terminal")
    func controlCharacters() throws {
        try withCommandLineScene { scene in
            var builder = Self.dynamic
            builder.setParent(Self.dynamic, file: "a\u{1B}[2Jb\nresult: clean\u{7}.vhd")
            let result = try check(try scene.folder.write(builder.build().content, to: "a.vhd"), in: scene)
            #expect(result.status == 0)
            #expect(result.output.split(separator: "\n").count == 2, "\(result.output)")
            #expect(result.outputBytes.allSatisfy { $0 >= 0x20 || $0 == 0x0A }, "\(result.output)")
        }
    }

    @Test("An image that is written to can't be checked, and the answer says who writes; one that is read can be")
    func inUse() throws {
        guard commandLineCanMount else { return }
        try withCommandLineScene { scene in
            let image = try scene.folder.write(Self.dynamic.build().content, to: "a.vhd")
            try scene.mount().checked()
            try scene.verb("attach", image).checked()
            let written = try check(image, in: scene)
            #expect(written.hasFailed("ERROR_SHARING_VIOLATION", 32, about: "vhdfs (pid "), "\(written.errorOutput)")
            #expect(try check(image, "no-lock", in: scene).status == 0)
            try scene.verb("detach", "a").checked()
            try scene.verb("attach", image, "readonly").checked()
            #expect(try check(image, in: scene).status == 0)
        }
    }

    @Test("VHDX has the same statuses, and a dirty log is replayed in memory only")
    func vhdx() throws {
        try withCommandLineScene { scene in
            var builder = VHDXBuilder(
                .dynamic,
                disk: SparseBytes([UInt8](repeating: 7, count: 3 << 20)),
                blockSize: 1 << 20
            )
            let clean = try check(try scene.folder.write(builder.build().content, to: "clean.vhdx"), in: scene)
            #expect(clean.status == 0 && clean.output.hasPrefix("result: clean; VHDX, dynamic"), "\(clean.output)")
            builder.hide(.table, .metadata)
            let dirty = try check(try scene.folder.write(builder.build().content, to: "dirty.vhdx"), in: scene)
            #expect(dirty.status == 0 && dirty.output.hasPrefix("note: the log has "), "\(dirty.output)")
            builder.surplusLength = 1 << 20
            let leaky = try check(try scene.folder.write(builder.build().content, to: "leaky.vhdx"), in: scene)
            #expect(leaky.status == 3, "\(leaky.output)")
            builder.entryOverrides[1] = 5
            let image = try scene.folder.write(builder.build().content, to: "damaged")
            for words in [[], ["type=vhdx"]] {
                let damaged = try run([CommandLineScene.program, "check", image] + words)
                #expect(damaged.status == 2 && damaged.output.hasPrefix("damaged: "), "\(damaged.output)")
            }
            builder.entryOverrides = [:]
            builder.edit(.file, at: 0, [UInt8](repeating: 0, count: 512))
            let beheaded = try scene.folder.write(builder.build().content, to: "beheaded")
            #expect(
                try check(beheaded, "type=vhdx", in: scene).output.hasPrefix("damaged: file identifier at offset 0: ")
            )
            #expect(try check(try scene.text("text"), "type=vhdx", in: scene).status == 1)
        }
    }

    @Test("The images of other programs are clean", .enabled(if: TestImages.areThere, "the images are not there"))
    func realImages() throws {
        try withCommandLineScene { scene in
            for entry in TestImages.entries where entry.format.hasPrefix("VHD") {
                let result = try check(try TestImages.unpack(entry.name, into: scene.folder), in: scene)
                // This one was copied while Hyper-V used it: the log is dirty, and there is room for blocks that it had taken.
                let isDirty = entry.name.contains("dirtylog")
                #expect(result.status == (isDirty ? 3 : 0), "\(entry.name): \(result.output)\(result.errorOutput)")
                #expect(result.output.contains("note: the log has 1 entries") == isDirty, "\(result.output)")
            }
        }
    }

    @Test("qemu-img and vhdfs agree on what is sound", .enabled(if: commandLineHasQEMU, "qemu-img is not there"))
    func qemu() throws {
        try withCommandLineScene { scene in
            let disk = try scene.folder.write([UInt8](repeating: 7, count: 5 << 20), to: "disk.raw")
            for (format, options) in [
                ("vpc", "subformat=dynamic,force_size=on"), ("vpc", "subformat=fixed,force_size=on"),
                ("vhdx", "subformat=dynamic"), ("vhdx", "subformat=fixed"), ("vhdx", "block_size=1M"),
            ] {
                let image = scene.path("theirs")
                try run("qemu-img", "convert", "-O", format, "-o", options, disk, image).checked()
                let result = try check(image, in: scene)
                // When it converts to a fixed VHDX it leaves behind the room that it had allocated at first.
                let isLeaky = options == "subformat=fixed"
                #expect(result.status == (isLeaky ? 3 : 0), "\(format): \(result.output)")
                #expect(!result.output.contains("damaged: "), "\(format): \(result.output)")
            }
            var builder = VHDXBuilder(.dynamic, disk: try scene.folder.read("disk.raw"), blockSize: 1 << 20)
            builder.hide(.table)
            let dirty = try scene.folder.write(builder.build().content, to: "ours.vhdx")
            #expect(try run("qemu-img", "check", "-f", "vhdx", dirty).status != 0)
            #expect(try check(dirty, in: scene).output.hasPrefix("note: the log has "))
            try run("qemu-img", "check", "-r", "all", "-f", "vhdx", dirty).checked()
            #expect(try check(dirty, in: scene).output.hasPrefix("result: clean"))
            // Two blocks in one place, and one that is not in the file.
            for entry: UInt64 in [6 | 4 << 20, 6 | 100 << 20] {
                builder.hiding = nil
                builder.logGUID = [UInt8](repeating: 0, count: 16)
                builder.entryOverrides = [1: entry]
                #expect(
                    try check(try scene.folder.write(builder.build().content, to: "bad.vhdx"), in: scene).status == 2
                )
            }
        }
    }
}

private let commandLineHasQEMU = (try? run("qemu-img", "--version").succeeded) ?? false
