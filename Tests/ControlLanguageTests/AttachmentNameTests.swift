import ControlLanguage
import Testing

@Suite struct AttachmentNameTests {
    @Test(arguments: ["a", "A-z_0.9+@=", "...", ".a", "-", String(repeating: "x", count: 200)])
    func takesLegalNames(text: String) {
        #expect(AttachmentName(text)?.text == text)
    }

    @Test(arguments: ["", ".", "..", "a/b", "a b", "ü", "a\n", "a\0", "ａ", String(repeating: "x", count: 201)])
    func refusesOthers(text: String) {
        #expect(AttachmentName(text) == nil)
    }

    @Test(arguments: [
        ("disk.vhd", "disk"), ("disk", "disk"), ("a.tar.gz", "a.tar"), ("x.", "x"), (".hidden", ".hidden"),
        (".hidden.vhd", ".hidden"), ("..vhd", "..vhd"), ("...", "..."), (".", "_"), ("..", "_"), ("", "_"),
        ("My Disk (1).vhdx", "My_Disk__1_"), ("für.iso", "f_r"), ("fu\u{308}r.iso", "fu_r"), ("a..vhd", "a."),
        ("😀.vhd", "_"),
        (String(repeating: "ü", count: 300), String(repeating: "_", count: 200)),
        (String(repeating: "n", count: 251) + ".vhd", String(repeating: "n", count: 200)),
    ])
    func derivesFromTheFileName(fileName: String, expected: String) {
        #expect(AttachmentName.derived(fromFileName: fileName.utf8).text == expected)
    }

    @Test func derivesFromBytesThatAreNoText() {
        #expect(AttachmentName.derived(fromFileName: [0xFF, 0x41, 0x80, 0x2E, 0xFE]).text == "_A_")
    }

    @Test func derivedNamesAreLegal() {
        var numbers = RepeatableNumbers(state: 3)
        for _ in 0..<20_000 {
            let fileName = (0..<Int.random(in: 0...255, using: &numbers)).map { _ in
                Bool.random(using: &numbers) ? UInt8(ascii: ".") : UInt8.random(in: .min ... .max, using: &numbers)
            }
            let name = AttachmentName.derived(fromFileName: fileName)
            #expect(AttachmentName(name.text) == name)
        }
    }

    @Test func countsUpToTheFirstFreeName() throws {
        let name = try #require(AttachmentName("disk"))
        var taken: Set<String> = []
        var given: [String] = []
        for _ in 0..<4 {
            let next = name.unique { taken.contains($0.text) }.text
            taken.insert(next)
            given.append(next)
        }
        #expect(given == ["disk", "disk-2", "disk-3", "disk-4"])
    }

    @Test func staysShortEnoughWithANumber() throws {
        let name = try #require(AttachmentName(String(repeating: "x", count: 199)))
        var taken = Set((2...9).map { String(repeating: "x", count: 198) + "-\($0)" })
        taken.insert(name.text)
        let next = name.unique { taken.contains($0.text) }.text
        #expect(next == String(repeating: "x", count: 197) + "-10")
    }
}
