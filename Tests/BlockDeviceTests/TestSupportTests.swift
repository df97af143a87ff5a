import BlockDevice
import TestSupport
import Testing

/// Tests of the tests' own tools: a wrong tool would make a wrong file look right.
struct TestSupportTests {
    @Test func runGivesStatusOutputAndErrors() throws {
        let result = try run(
            "sh",
            "-c",
            "echo out; echo err >&2; cat; echo $WORD; exit 3",
            input: [65, 10],
            environment: ["WORD": "w"]
        )
        #expect(result.status == 3)
        #expect(result.output == "out\nA\nw\n")
        #expect(result.errorOutput == "err\n")
        #expect(throws: TestSupportError.self) { try result.checked() }
        #expect(throws: TestSupportError.self) { try run("/no/such/program") }
    }

    @Test func runKillsWhatTakesTooLong() throws {
        let result = try run("sh", "-c", "sleep 100 & sleep 100", timeout: .milliseconds(50))
        #expect(result.timedOut)
        #expect(result.status == 128 + 9)
    }

    @Test func runDoesNotWaitForDaemons() throws {
        let result = try run("sh", "-c", "sleep 2 & echo started")
        #expect(result.output == "started\n")
        #expect(!result.timedOut)
    }

    @Test func aProcessBesideTheTestCanBeSignalled() throws {
        let command = try RunningCommand([
            "sh", "-c", "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done",
        ])
        defer { command.stop() }
        #expect(command.waitForOutput("ready"))
        #expect(command.isRunning)
        command.send(signal: 15)
        let result = command.wait()
        #expect(result.status == 7)
        #expect(result.output == "ready\nbye\n")
    }

    @Test func scratchFoldersGoEvenWhenTheTestFails() throws {
        var path = ""
        #expect(throws: TestSupportError.self) {
            try withScratchFolder { folder in
                path = folder.path
                try folder.write([1, 2, 3], to: "file")
                #expect(try folder.read("file").bytes == [1, 2, 3])
                throw TestSupportError("on purpose")
            }
        }
        #expect(try run("test", "-e", path).status == 1)
    }

    @Test func sparseFilesKeepTheirHoles() throws {
        try withScratchFolder { folder in
            var content = SparseBytes(count: 1 << 40)
            content.store([1, 2, 3], at: 1 << 39)
            content.store([4], at: (1 << 40) - 1)
            let path = try folder.write(content, to: "large")
            #expect(try readFile(path) == content)
            #expect(try run("stat", "-c", "%s", path).output == "\(UInt64(1) << 40)\n")
        }
    }

    @Test func hashIsSHA256() throws {
        #expect(try sha256(of: Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        var pieces: [[UInt8]] = [Array("a".utf8), Array("bc".utf8)]
        #expect(
            try sha256 { pieces.isEmpty ? nil : pieces.removeFirst() }
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        )
    }

    @Test(.enabled(if: TestImages.areThere, "the test images are not there"), arguments: TestImages.entries)
    func imagesAreThoseOfTheManifest(_ image: TestImages.Entry) throws {
        try withScratchFolder { folder in
            let path = try TestImages.unpack(image.name, into: folder)
            #expect(try sha256(ofFile: path) == image.imageHash)
        }
    }
}

struct SparseBytesTests {
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func behavesAsPlainBytes(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var plain = [UInt8](repeating: 0, count: 40_000)
        var sparse = SparseBytes(count: 40_000)
        for _ in 0..<60 {
            let range = random.range(in: UInt64(plain.count), longest: 10_000)
            switch UInt8.random(in: 0..<4, using: &random) {
            case 0:
                sparse.zero(range)
                for i in range { plain[Int(i)] = 0 }
            case 1 where !range.isEmpty:
                sparse.resize(to: range.upperBound)
                sparse.resize(to: 40_000)
                for i in Int(range.upperBound)..<40_000 { plain[i] = 0 }
            default:
                let bytes = random.bytes(range.count)
                sparse.store(bytes, at: range.lowerBound)
                plain.replaceSubrange(Int(range.lowerBound)..<Int(range.upperBound), with: bytes)
            }
            #expect(differingIndex(sparse.bytes, plain) == nil, "seed \(seed)")
        }
        #expect(SparseBytes(plain) == sparse)
        checkAllocation(sparse)
    }

    func checkAllocation(_ sparse: SparseBytes) {
        var offset: UInt64 = 0
        while offset < sparse.count {
            let run = sparse.allocation(at: offset, limit: .max)
            #expect(run.end > offset)
            if !run.isData { #expect(sparse[offset..<run.end].allSatisfy { $0 == 0 }) }
            offset = run.end
        }
        #expect(offset == sparse.count)
    }

    @Test func differencesAreFound() {
        var a = SparseBytes(count: 1 << 41)
        let b = a
        #expect(a == b)
        a.store([0, 0, 5], at: 123_456_789)
        #expect(a.firstDifference(from: b) == 123_456_791)
        #expect(b.firstDifference(from: a) == 123_456_791)
        #expect(b.firstDifference(from: SparseBytes(count: 77)) == 77)
        #expect(a.storedBytes == 4096)
    }
}
