import ControlLanguage
import Testing

@Suite struct AttachWordsTests {
    @Test func nothingSaidMeansReadWrite() throws {
        let words = try attachWords("")
        #expect(words.flags == 0)
        #expect(words.version == 1)
        #expect(words.providerFlags == 0)
        #expect(words.type == .automatic)
        #expect(words.access == .asImage)
        #expect(words == AttachWords())
    }

    /// From the table of flags in virtdisk.h.
    @Test(
        arguments: [
            ("readonly", 0x01), ("ro", 0x01), ("read-only", 0x01), ("no-drive-letter", 0x02), ("permanent", 0x04),
            ("no-local-host", 0x08), ("no-security-descriptor", 0x10), ("bypass-default-encryption-policy", 0x20),
            ("ATTACH_VIRTUAL_DISK_FLAG_NONE", 0x00), ("ATTACH_VIRTUAL_DISK_FLAG_READ_ONLY", 0x01),
            ("ATTACH_VIRTUAL_DISK_FLAG_NO_DRIVE_LETTER", 0x02), ("ATTACH_VIRTUAL_DISK_FLAG_PERMANENT_LIFETIME", 0x04),
            ("ATTACH_VIRTUAL_DISK_FLAG_NO_LOCAL_HOST", 0x08), ("ATTACH_VIRTUAL_DISK_FLAG_NO_SECURITY_DESCRIPTOR", 0x10),
            ("ATTACH_VIRTUAL_DISK_FLAG_BYPASS_DEFAULT_ENCRYPTION_POLICY", 0x20), ("flags=0x41", 0x41), ("flags=65", 65),
            ("flags=0XfF", 0xFF), ("flags=0xFFFFFFFF", .max), ("flags=4294967295", .max), ("flags=0", 0),
            ("flags=010", 10),
            ("readonly flags=0x5 no-local-host", 0x0D),
        ] as [(String, UInt32)]
    )
    func combinesFlags(line: String, expected: UInt32) throws {
        #expect(try attachWords(line).flags == expected)
    }

    @Test func takesEveryOtherWord() throws {
        let words = try attachWords(
            "provider-flags=0x7 version=2 type=vhdset name=a.b owner=0 group=4294967294 mode=0640 "
                + "parent=/p/1 'parent=b c' parent=/p/1 support-compressed-volumes support-encrypted-files no-lock break-children"
        )
        #expect(words.providerFlags == 7)
        #expect(words.version == 2)
        #expect(words.type == .vhdSet)
        #expect(words.name?.text == "a.b")
        #expect(words.access == .posix(owner: 0, group: 4_294_967_294, mode: 0o640))
        #expect(words.parents.map(\.text) == ["/p/1", "b c", "/p/1"])
        #expect(words.supportsCompressedVolumes)
        #expect(words.supportsEncryptedFiles)
        #expect(words.omitsLock)
        #expect(words.breaksChildren)
    }

    @Test(
        arguments: [
            ("auto", .automatic), ("vhd", .vhd), ("vhdx", .vhdx), ("vhdset", .vhdSet), ("iso", .iso), ("raw", .raw),
        ] as [(String, AttachWords.ImageType)]
    )
    func knowsTheTypes(name: String, type: AttachWords.ImageType) throws {
        #expect(try attachWords("type=\(name)").type == type)
    }

    @Test func keepsPathsAndDescriptorsByteForByte() throws {
        let parent = try #require(Word("parent=".utf8 + [0xFF, 0x3D, 0x20]))
        #expect(try AttachWords([parent]).parents.map(\.bytes) == [[0xFF, 0x3D, 0x20]])
        #expect(try attachWords("sd=O:BAD:(A;;FA;;;WD)").access == .descriptor(try word("O:BAD:(A;;FA;;;WD)")))
    }

    @Test(arguments: [
        "ro readonly", "readonly ATTACH_VIRTUAL_DISK_FLAG_READ_ONLY", "flags=1 flags=2", "name=a name=a",
        "type=iso type=iso",
        "no-lock no-lock", "mode=0600 mode=0600", "sd=D: sd=D:",
        "ATTACH_VIRTUAL_DISK_FLAG_NONE ATTACH_VIRTUAL_DISK_FLAG_NONE",
        "version=1 version=1", "provider-flags=0 provider-flags=0", "owner=1 owner=1", "group=1 group=1",
    ])
    func refusesRepeatedWords(line: String) throws {
        #expect(try #require(attachError(line)).contains("repeats"))
    }

    @Test(arguments: [
        "frobnicate", "READONLY", "Permanent", "rw", "force", "-r", "", "ATTACH_VIRTUAL_DISK_FLAG_NON_PNP",
        "readonly\r", "=1", "x=1",
        "attach_virtual_disk_flag_read_only", "Flags=1",
    ])
    func refusesUnknownWordsByName(text: String) throws {
        let line = String(decoding: ShellWords.quote(try word(text)), as: UTF8.self)
        let error = try #require(attachError(line))
        #expect(error.hasPrefix("unknown word \(try word(text))"))
        #expect(error.contains("readonly, no-drive-letter"))
    }

    @Test(arguments: [
        "flags=", "flags=-1", "flags=+1", "flags=0x", "flags=0x+1", "flags=x", "flags=4294967296", "flags=0x100000000",
        "flags=1 ",
        "version=one", "provider-flags=0b1", "type=", "type=VHD", "type=qcow2", "name=", "name=.", "name=..",
        "name=a/b", "name=a b",
        "owner=root", "owner=4294967295", "owner=-1", "group=0x1", "group=", "mode=0888", "mode=01777", "mode=",
        "mode=+7", "mode=rw",
        "parent=", "sd=", "flags=１",
    ])
    func refusesWrongValuesAndSaysWhatIsRight(text: String) throws {
        let error = try #require(attachError(String(decoding: ShellWords.quote(try word(text)), as: UTF8.self)))
        #expect(error.hasPrefix("wrong value in \(try word(text)): "))
        #expect(error.contains("= takes "))
    }

    @Test(arguments: ["name", "flags", "parent", "sd"])
    func refusesAKeyWithoutValue(key: String) throws {
        #expect(try #require(attachError(key)).hasPrefix("'\(key)' needs a value"))
    }

    @Test(arguments: ["readonly=1", "no-lock=", "permanent=yes"])
    func refusesAValueWhereNoneBelongs(text: String) throws {
        #expect(try #require(attachError(text)).contains("takes no value"))
    }

    @Test(arguments: ["sd=D: mode=0600", "owner=1 sd=D:", "group=0 sd=D:", "sd=D: owner=1 group=1 mode=0"])
    func refusesTwoKindsOfAccess(line: String) throws {
        #expect(try #require(attachError(line)).contains("excludes"))
    }

    @Test func takesPartsOfPosixAccess() throws {
        #expect(try attachWords("mode=600").access == .posix(owner: nil, group: nil, mode: 0o600))
        #expect(try attachWords("group=5").access == .posix(owner: nil, group: 5, mode: nil))
    }

    @Test(arguments: [
        ("ro", true), ("permanent", true), ("flags=7", true), ("type=nonsense", true), ("no-lock", true),
        ("break-children", true),
        ("parent=x", true),
        ("allow_other", false), ("fsname=x", false), ("rw", false), ("readonly=1", false), ("name", false), ("", false),
        ("state-dir=/x", false),
    ])
    func tellsAttachWordsFromOtherOptions(text: String, expected: Bool) throws {
        #expect(AttachWords.recognizes(try word(text)) == expected)
    }

    @Test(arguments: [
        ("", ""), ("ro", "readonly"), ("flags=0x3", "readonly no-drive-letter"),
        ("permanent flags=0xC0", "permanent flags=0xc0"),
        ("mode=7 owner=1", "owner=1 mode=07"), ("parent=b sd=D: parent=a", "sd=D: parent=b parent=a"),
        ("break-children no-lock type=raw name=n", "type=raw name=n no-lock break-children"),
        ("version=0 provider-flags=16", "provider-flags=0x10 version=0"),
    ])
    func writesTheShortestWords(line: String, expected: String) throws {
        #expect(try attachWords(line).words.map(\.text).joined(separator: " ") == expected)
    }
}
