import FuzzSupport
import Glibc
import TestSupport
import Testing

/// The inputs that once broke a promise, and those that the fuzzers begin with, without a fuzzer.
@Suite struct KeptInputTests {
    @Test("Inputs that fuzzing has found keep all promises", arguments: FuzzTarget.all.map(\.name))
    func kept(_ name: String) throws {
        let target = try #require(FuzzTarget.all.first { $0.name == name })
        let folder = "\(TestImages.packageFolder)/Fuzz/Kept/\(name)"
        let inputs = try run("ls", folder).checked().output.split(separator: "\n")
        #expect(!inputs.isEmpty)
        for input in inputs {
            let bytes = try readFile("\(folder)/\(input)").bytes
            expectKept(target, bytes, "\(input)")
        }
    }

    @Test("Seeds keep all promises, and can be described", arguments: FuzzTarget.all.map(\.name))
    func seeds(_ name: String) throws {
        let target = try #require(FuzzTarget.all.first { $0.name == name })
        let seeds = target.seeds()
        #expect(!seeds.isEmpty)
        for (number, seed) in seeds.enumerated() {
            let bytes = seed.bytes
            #expect(FuzzInput(bytes).content == seed.content, "seed \(number)")
            expectKept(target, bytes, "seed \(number)")
        }
    }

    private func expectKept(_ target: FuzzTarget, _ input: [UInt8], _ name: String) {
        do throws(FuzzFailure) {
            try target.run(input)
        } catch {
            Issue.record("\(name): \(error)")
        }
    }
}
