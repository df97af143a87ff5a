import TestSupport
import Testing

/// What can be said wrong on the command line, and what the program tells about itself. Nothing is mounted here.
@Suite struct CommandLineUsageTests {
    @Test(
        "Wrong usage is status 64, and says what is wrong",
        arguments: [
            (["--bogus"], "--bogus"),
            ([], "mount point"),
            (["m", "-o", "ro,foo"], "'foo'"),
            (["m", "-o", "bar=1"], "'bar=1'"),
            (["m", "-o", "uid=0"], "'uid=0'"),
            (["m", "-o", "max_read=much"], "max_read"),
            (["m", "-o", "name=a/b"], "name="),
            (["m", "--log-level", "loud"], "loud"),
            (["m", "--manage-group", "no-such-group-here"], "no-such-group-here"),
            (["m", "--state-dir"], "state-dir"),
            (["attach"], "image"),
            (["attach", "a.vhd", "nonsense"], "nonsense"),
            (["attach", "a.vhd", "readonly", "ro"], "'ro'"),
            (["check"], "image"),
            (["check", "a.vhd", "readonly"], "readonly"),
            (["check", "a.vhd", "type=floppy"], "type="),
            (["detach"], "target"),
            (["detach", "a", "now"], "now"),
            (["info"], "target"),
            (["info", "a", "b"], "b"),
            (["list", "a"], "a"),
            (["unmount"], "mount-point"),
            (["unmount", "m", "n"], "n"),
        ]
    )
    func wrongUsage(words: [String], mention: String) throws {
        try withCommandLineScene { scene in
            let result = try run([CommandLineScene.program] + words, environment: scene.environment)
            #expect(result.status == 64)
            #expect(result.output == "")
            #expect(result.errorOutput.hasPrefix("vhdfs: "), "\(result.errorOutput)")
            #expect(result.errorOutput.contains(mention), "\(result.errorOutput)")
            #expect(result.errorOutput.contains("--help'"), "\(result.errorOutput)")
            #expect(scene.daemons.isEmpty)
        }
    }

    @Test("--help tells of every option and verb, on lines that a terminal shows", arguments: ["--help", "-h"])
    func help(option: String) throws {
        let result = try run(CommandLineScene.program, option).checked()
        let words = [
            "--foreground", "--read-only", "-o ", "--state-dir", "--manage-group", "--log-level", "--version", "attach",
            "check", "detach", "list", "info", "unmount", "EXAMPLES", "/etc/fstab", "ctl", "permanent",
        ]
        for word in words { #expect(result.output.contains(word), "\(word)") }
        #expect(result.output.split(separator: "\n").allSatisfy { $0.count <= 110 })
        #expect(result.errorOutput == "")
    }

    @Test("Each verb explains itself", arguments: ["attach", "check", "detach", "list", "info", "unmount"])
    func helpOfVerb(verb: String) throws {
        let result = try run(CommandLineScene.program, verb, "--help").checked()
        #expect(result.output.contains("USAGE: vhdfs \(verb)"), "\(result.output)")
    }

    @Test func version() throws {
        #expect(try run(CommandLineScene.program, "--version").checked().output == "0.1.0\n")
    }

    @Test("info of an image needs no mount, and changes nothing in it")
    func infoWithoutMount() throws {
        try withCommandLineScene { scene in
            let image = try scene.vhd("a.vhd", beginsWith: "hello")
            let before = try readFile(image)
            let text = try scene.vhdfs("info", image).checked().output
            #expect(text.contains("format: vhd\n") && text.contains("virtual_size: 1048576\n"), "\(text)")
            #expect(text.contains("read_only: yes\n"))
            let json = try scene.vhdfs("info", "--json", try scene.iso("b.iso")).checked().outputBytes
            let format = try run(
                ["python3", "-c", "import json, sys; print(json.load(sys.stdin)['format'])"],
                input: json
            )
            #expect(format.output == "iso\n", "\(format.errorOutput)")
            #expect(try readFile(image).firstDifference(from: before) == nil)
        }
    }

    @Test("info of what is no image, or not there, gives the exact error")
    func infoFails() throws {
        try withCommandLineScene { scene in
            let text = try scene.text("a.txt")
            let noImage = try scene.vhdfs("info", text)
            #expect(noImage.hasFailed("ERROR_VIRTDISK_PROVIDER_NOT_FOUND", 0xC03A_0014, about: text))
            let missing = try scene.vhdfs("info", scene.path("none.vhd"))
            #expect(missing.status == 1 && missing.errorOutput.contains("none.vhd"))
        }
    }
}
