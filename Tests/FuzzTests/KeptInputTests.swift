import FuzzSupport
import Glibc
import TestSupport
import Testing

/// The inputs that once broke a promise, and those that the fuzzers begin with, without a fuzzer.
@Suite struct KeptInputTests {
    @Test("Inputs that fuzzing has found keep all promises", arguments: FuzzedFormats.all.map(\.name))
    func kept(_ name: String) throws {
        let target = try #require(FuzzedFormats.all.first { $0.name == name })
        let folder = "\(TestImages.packageFolder)/Fuzz/Kept/\(name)"
        // What has broken no promise yet has no folder.
        let inputs = try run("bash", "-c", "ls '\(folder)' 2> /dev/null || true").checked().output.split(
            separator: "\n"
        )
        for input in inputs {
            let bytes = try readFile("\(folder)/\(input)").bytes
            expectKept(target, bytes, "\(input)")
        }
    }

    @Test("Seeds keep all promises, and can be described", arguments: FuzzedFormats.all.map(\.name))
    func seeds(_ name: String) throws {
        let target = try #require(FuzzedFormats.all.first { $0.name == name })
        let inputs = target.inputs
        #expect(!inputs.isEmpty)
        for (number, input) in inputs.enumerated() { expectKept(target, input, "seed \(number)") }
        guard let disk = target as? any FuzzedDisk else { return }
        for (number, seed) in disk.seeds().enumerated() {
            #expect(FuzzInput(seed.bytes).content == seed.content, "seed \(number)")
        }
    }

    private func expectKept(_ target: any FuzzedFormat, _ input: [UInt8], _ name: String) {
        do throws(FuzzFailure) {
            try target.run(input)
        } catch {
            Issue.record("\(name): \(error)")
        }
    }
}
