import ControlLanguage
import Testing

@Suite struct ShellWordsTests {
    @Test(
        arguments: [
            ("", []),
            (" \t ", []),
            ("a", ["a"]),
            ("  a\t b  ", ["a", "b"]),
            ("''", [""]),
            ("\"\" ''", ["", ""]),
            ("a''b", ["ab"]),
            ("'a b'\"c d\"e", ["a bc de"]),
            (#"a\ b"#, ["a b"]),
            (#"\a\\\"\'"#, [#"a\"'"#]),
            (#"'\n\'"#, [#"\n\"#]),
            (#""\$\`\"\\""#, [#"$`"\"#]),
            (#""\a\ \'\!""#, [#"\a\ \'\!"#]),
            (#"'"'"'""#, [#""'"#]),
            ("a\\\tb", ["a\tb"]),
            ("a #b", ["a", "#b"]),
            ("$HOME * ~ `x` sd=D:(A;;FA;;;WD) a|b>c&", ["$HOME", "*", "~", "`x`", "sd=D:(A;;FA;;;WD)", "a|b>c&"]),
            ("a\rb\r", ["a\rb\r"]),
            ("für 'für'", ["für", "für"]),
        ] as [(String, [String])]
    )
    func splitsAsAShellDoes(line: String, expected: [String]) throws {
        #expect(try ShellWords.split(line.utf8).map(\.text) == expected)
    }

    @Test(arguments: [
        ("'a", "single quote"), ("a\"b", "double quote"), (#""a\""#, "double quote"), (#""a\"#, "double quote"),
        (#"a\"#, "backslash"), ("a\0b", "NUL"), ("'a\nb'", "newline"),
    ])
    func refusesWhatHasNoEnd(line: String, reason: String) {
        do throws(RequestError) {
            let words = try ShellWords.split(line.utf8)
            Issue.record("\(line) gave \(words)")
        } catch {
            #expect(error.text.contains(reason))
        }
    }

    @Test(arguments: [
        ("a", "a"), ("/img/My-Disk_1.vhd", "/img/My-Disk_1.vhd"), ("name=a+b@c", "name=a+b@c"), ("", "''"),
        ("a b", "'a b'"),
        ("it's", #"'it'\''s'"#), ("#", "'#'"), ("~", "'~'"), ("ü", "'ü'"), (#"a\b"#, #"'a\b'"#), ("a;b", "'a;b'"),
    ])
    func quotesOnlyWhatNeedsIt(text: String, expected: String) throws {
        #expect(String(decoding: ShellWords.quote(try word(text)), as: UTF8.self) == expected)
    }

    @Test func readsBackWhateverItQuotes() throws {
        var numbers = RepeatableNumbers(state: 1)
        let special = Array(" '\"\\$`#\t;()".utf8)
        for _ in 0..<20_000 {
            let words = (0..<Int.random(in: 1...4, using: &numbers)).compactMap { _ in
                Word(
                    (0..<Int.random(in: 0...12, using: &numbers)).map { _ in
                        Bool.random(using: &numbers)
                            ? special.randomElement(using: &numbers) ?? 0
                            : UInt8.random(in: .min ... .max, using: &numbers)
                    }
                )
            }
            #expect(try ShellWords.split(ShellWords.join(words)) == words)
        }
    }

    @Test func aWordIsWhatARequestCanCarry() {
        #expect(Word("a\nb") == nil)
        #expect(Word([65, 0]) == nil)
        #expect(Word([0xFF, 0x0D])?.bytes == [0xFF, 0x0D])
    }
}
