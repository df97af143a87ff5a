internal import CFuzzer
internal import FuzzSupport
internal import Glibc

// libFuzzer calls a C function, which can't carry anything along.
private nonisolated(unsafe) var target: any FuzzedFormat = FuzzedFormats.all[0]

/// The whole program: `--seeds FOLDER` writes the inputs to begin with, `--words FILE` a dictionary; else libFuzzer looks for inputs that
/// break a promise, with the arguments of this process.
public func fuzz(_ name: String) -> Never {
    guard let format = FuzzedFormats.all.first(where: { $0.name == name }) else { exit(64) }
    let arguments = CommandLine.arguments
    if arguments.count == 3, arguments[1] == "--seeds" {
        for (number, seed) in format.inputs.enumerated() { write(seed, to: "\(arguments[2])/seed-\(number)") }
        exit(0)
    }
    if arguments.count == 3, arguments[1] == "--words" {
        // libFuzzer refuses an empty dictionary; a comment is enough.
        let lines = ["# \(name)"] + format.words.map { "\"\(escaped($0))\"" }
        write(Array((lines.joined(separator: "\n") + "\n").utf8), to: arguments[2])
        exit(0)
    }
    unsafe target = format
    var count = CommandLine.argc
    var words: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = unsafe CommandLine.unsafeArgv
    let status = unsafe LLVMFuzzerRunDriver(&count, &words) { bytes, size in
        let input = unsafe [UInt8](UnsafeBufferPointer(start: bytes, count: size))
        do throws(FuzzFailure) {
            try unsafe target.run(input)
        } catch {
            fatalError("\(error)")
        }
        return 0
    }
    exit(status)
}

private func escaped(_ word: String) -> String {
    String(word.flatMap { $0 == "\"" || $0 == "\\" ? ["\\", $0] : [$0] })
}

private func write(_ bytes: [UInt8], to path: String) {
    guard let file = unsafe fopen(path, "w") else { return fail(path) }
    let count = unsafe bytes.withUnsafeBytes { unsafe fwrite($0.baseAddress, 1, $0.count, file) }
    guard unsafe fclose(file) == 0, count == bytes.count else { return fail(path) }
}

private func fail(_ path: String) {
    unsafe perror(path)
    exit(1)
}
