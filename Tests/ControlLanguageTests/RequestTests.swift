import ControlLanguage
import Testing

@Suite struct RequestTests {
    @Test(arguments: ["", "   ", "\t", "# attach /x", "#", "  # x", "#'"])
    func passesOverLinesThatAskNothing(line: String) throws {
        #expect(try parse(line) == nil)
    }

    @Test func readsEveryVerb() throws {
        var words = AttachWords()
        words.flags = 1
        words.name = AttachmentName("n")
        #expect(try parse("attach '/a b.vhd' readonly name=n") == .attach(path: try word("/a b.vhd"), words: words))
        #expect(try parse("attach readonly") == .attach(path: try word("readonly"), words: AttachWords()))
        #expect(try parse(" detach  a ") == .detach(target: try word("a"), force: false))
        #expect(try parse("detach /x/a.vhd force") == .detach(target: try word("/x/a.vhd"), force: true))
        #expect(try parse("detach force") == .detach(target: try word("force"), force: false))
        #expect(try parse("info a") == .info(target: try word("a")))
        #expect(try parse("'list'") == .list)
        #expect(try parse("help") == .help)
    }

    @Test func keepsPathsByteForByte() throws {
        let request = try Request.parse("attach ".utf8 + [0x2F, 0xFF, 0x80])
        #expect(request == .attach(path: try #require(Word([0x2F, 0xFF, 0x80])), words: AttachWords()))
    }

    @Test(arguments: [
        ("Attach /x", "unknown verb 'Attach'"), ("mount /x", "expected attach, detach, info, list or help"),
        ("''", "unknown verb ''"),
        ("attach", "needs the path"), ("attach ''", "needs the path"), ("detach", "needs a name"),
        ("info ''", "needs a name"),
        ("detach a forced", "unexpected word 'forced'"), ("detach a force force", "unexpected word 'force'"),
        ("info a b", "unexpected word 'b'"), ("list all", "unexpected word 'all'"), ("help me", "unexpected word 'me'"),
        ("attach /x foo", "unknown word 'foo'"), ("attach '/x", "single quote"), ("list\0", "NUL"),
    ])
    func refusesAndSaysWhy(line: String, reason: String) {
        do throws(RequestError) {
            let request = try parse(line)
            Issue.record("\(line) gave \(String(describing: request))")
        } catch {
            #expect(error.text.contains(reason))
        }
    }

    @Test func messagesStayShortAndOnOneLine() {
        do throws(RequestError) {
            _ = try parse("attach /x \u{1B}[2J\u{9B}" + String(repeating: "y", count: 60_000))
            Issue.record("taken")
        } catch {
            #expect(error.text.count < 600)
            #expect(error.text.contains(#"'\x1B[2J\xC2\x9By"#))
        }
    }

    @Test func readsBackWhatItWrites() throws {
        var numbers = RepeatableNumbers(state: 4)
        for _ in 0..<20_000 {
            let request = try randomRequest(&numbers)
            #expect(try Request.parse(request.line) == request)
        }
    }

    @Test func garbageNeverTraps() {
        var numbers = RepeatableNumbers(state: 5)
        let pieces = [
            "attach ", "detach ", "info ", "list", "help", " ", "\t", "'", "\"", "\\", "#", "flags=", "0x", "name=",
            "mode=", "owner=",
            "sd=", "parent=", "readonly", "force", "=", "-1", "99999999999", "/a", ".", "ü", "\u{0}", "\n",
            "ATTACH_VIRTUAL_DISK_FLAG_",
        ].map { Array($0.utf8) }
        var taken = 0
        for _ in 0..<100_000 {
            var line: [UInt8] = []
            for _ in 0..<Int.random(in: 0...10, using: &numbers) {
                line += pieces.randomElement(using: &numbers) ?? []
                if Int.random(in: 0..<20, using: &numbers) == 0 {
                    line.append(.random(in: .min ... .max, using: &numbers))
                }
            }
            do throws(RequestError) {
                guard let request = try Request.parse(line) else { continue }
                taken += 1
                #expect(try Request.parse(request.line) == request)
            } catch {
                if error.text.utf8.contains(where: { $0 < 0x20 }) { Issue.record("not one line: \(error.text)") }
            }
        }
        #expect(taken > 100)
    }

    private func randomRequest(_ numbers: inout RepeatableNumbers) throws -> Request {
        let bytes = (0..<Int.random(in: 1...20, using: &numbers)).map { _ in
            UInt8.random(in: 1 ... .max, using: &numbers)
        }
        let target = try #require(Word(bytes.filter { $0 != 10 } + [65]))
        switch Int.random(in: 0..<8, using: &numbers) {
        case 0: return .detach(target: target, force: .random(using: &numbers))
        case 1: return .info(target: target)
        case 2: return .list
        case 3: return .help
        default: break
        }
        var words = AttachWords()
        words.flags = .random(in: .min ... .max, using: &numbers) >> UInt32.random(in: 0...31, using: &numbers)
        words.providerFlags = .random(in: 0...2, using: &numbers)
        words.version = .random(in: 0...2, using: &numbers)
        words.type = AttachWords.ImageType.allCases.randomElement(using: &numbers) ?? .automatic
        words.name = Bool.random(using: &numbers) ? .derived(fromFileName: target.bytes) : nil
        switch Int.random(in: 0..<3, using: &numbers) {
        case 0: words.access = .descriptor(target)
        case 1:
            words.access = .posix(
                owner: .random(in: 0 ..< .max, using: &numbers),
                group: nil,
                mode: .random(in: 0...0o777, using: &numbers)
            )
        default: break
        }
        words.parents = Array(repeating: target, count: Int.random(in: 0...2, using: &numbers))
        words.supportsCompressedVolumes = .random(using: &numbers)
        words.supportsEncryptedFiles = .random(using: &numbers)
        words.omitsLock = .random(using: &numbers)
        return .attach(path: target, words: words)
    }
}
