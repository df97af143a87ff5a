import ControlLanguage
import Testing

@Suite struct LineAssemblerTests {
    private typealias Line = LineAssembler.Line

    private func line(_ text: String) -> Line { .complete(Array(text.utf8)) }

    @Test func putsLinesTogether() {
        var assembler = LineAssembler()
        #expect(assembler.append("li".utf8) == [])
        #expect(assembler.append("st\n\nhelp\nin".utf8) == [line("list"), line(""), line("help")])
        #expect(assembler.append("fo a\n".utf8) == [line("info a")])
        #expect(assembler.takeRemainder() == nil)
    }

    @Test func givesTheRemainderOnce() {
        var assembler = LineAssembler()
        _ = assembler.append("a\nlist".utf8)
        #expect(assembler.takeRemainder() == Array("list".utf8))
        #expect(assembler.takeRemainder() == nil)
    }

    @Test func dropsTheRemainder() {
        var assembler = LineAssembler()
        _ = assembler.append("bad\nattach ".utf8)
        assembler.discardRemainder()
        #expect(assembler.append("list\n".utf8) == [line("list")])
    }

    @Test func takesTheLongestLine() {
        var assembler = LineAssembler()
        let longest = [UInt8](repeating: 65, count: 65_536)
        #expect(assembler.append(longest) == [])
        #expect(assembler.append([10]) == [.complete(longest)])
    }

    @Test func swallowsAnOverlongLine() {
        var assembler = LineAssembler()
        #expect(assembler.append([UInt8](repeating: 65, count: 65_537)) == [.overlong])
        assembler.discardRemainder()
        #expect(assembler.append([UInt8](repeating: 65, count: 100_000)) == [])
        #expect(assembler.takeRemainder() == nil)
        #expect(assembler.append("tail\nlist\n".utf8) == [line("list")])
        #expect(assembler.append([UInt8](repeating: 66, count: 70_000) + [10]) == [.overlong])
        #expect(assembler.append("help\n".utf8) == [line("help")])
    }

    @Test func cutsAtNewlinesWhereverTheWritesAre() {
        var numbers = RepeatableNumbers(state: 2)
        for _ in 0..<500 {
            let bytes = (0..<200).map { _ in [10, 65, 66, 0, 255].randomElement(using: &numbers) ?? 10 } as [UInt8]
            var assembler = LineAssembler()
            var lines: [Line] = []
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Int.random(in: 1...30, using: &numbers)
                lines += assembler.append(rest.prefix(count))
                rest = rest.dropFirst(count)
            }
            var expected = bytes.split(separator: 10, omittingEmptySubsequences: false).map(Array.init)
            let remainder = expected.removeLast()
            #expect(lines == expected.map(Line.complete))
            #expect(assembler.takeRemainder() ?? [] == remainder)
        }
    }
}
