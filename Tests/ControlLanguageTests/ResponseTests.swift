import ControlLanguage
import Testing

@Suite struct ResponseTests {
    @Test func writesOneLine() throws {
        let name = try #require(AttachmentName("a-2"))
        let table: [(Response, String)] = [
            (
                .attached(name: name, path: Array("/mnt/my disks/attached/a-2".utf8)),
                "ok attach a-2 /mnt/my disks/attached/a-2"
            ),
            (.detached(name: name), "ok detach a-2"),
            (.listed, "ok list"),
            (.informed(name: name), "ok info a-2"),
            (.explained, "ok help"),
            (
                .failed(code: 32, name: "ERROR_SHARING_VIOLATION", text: "/img/a.vhd: already attached as a"),
                "error 32 ERROR_SHARING_VIOLATION /img/a.vhd: already attached as a"
            ),
            (.failed(code: 87, name: "E", text: "a\nb\u{7}\u{7F}\u{85}ü\\"), #"error 87 E a\nb\x07\x7F\xC2\x85ü\"#),
        ]
        for (response, line) in table {
            #expect(String(decoding: response.line, as: UTF8.self) == line)
        }
    }

    @Test func keepsPathsByteForByte() throws {
        let name = try #require(AttachmentName("a"))
        #expect(
            Response.attached(name: name, path: [0xFF, 0x0A, 0xC2]).line == "ok attach a ".utf8 + [
                0xFF, 0x5C, 0x6E, 0xC2,
            ]
        )
    }

    @Test func helpNamesEveryWord() {
        let help = Help.lines.joined(separator: "\n")
        for flag in AttachFlagName.all {
            #expect(flag.words.allSatisfy(help.contains))
        }
        for type in AttachWords.ImageType.allCases {
            #expect(help.contains(type.rawValue))
        }
        for word in [
            "attach PATH", "detach NAME|PATH [force]", "info NAME|PATH", "list", "flags=", "provider-flags=0",
            "version=1", "type=", "name=",
            "sd=", "owner=", "group=", "mode=", "parent=", "support-compressed-volumes", "support-encrypted-files",
            "no-lock", "break-children",
        ] {
            #expect(help.contains(word))
        }
        #expect(Help.lines.allSatisfy { $0.count <= 100 })
    }
}
