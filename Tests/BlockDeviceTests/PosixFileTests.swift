import BlockDevice
import TestSupport
import Testing

/// Files of the host itself.
struct PosixFileTests {
    @Test(arguments: [true, false])
    func aDiskInAFileKeepsTheBlockDevicePromises(_ isReadOnly: Bool) throws {
        try withScratchFolder { scratch in
            let content = ConformanceTests.content()
            let path = try scratch.write(content, to: "disk")
            let image = FlatImage(
                try openFile(path, writable: !isReadOnly),
                size: content.count,
                storedBytes: content.count
            )
            let device = Chain(leaf: image, isReadOnly: isReadOnly)
            let expected = try checkConformance(of: device, showing: content)
            try device.finish()
            #expect(try readFile(path) == expected)
        }
    }

    @Test(arguments: SeededGenerator.seeds(5))
    func behavesAsAFileInMemory(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        try withScratchFolder { scratch in
            let file = try openFile(scratch.write([1, 2, 3], to: "file"), writable: true)
            let model = MemoryFile(SparseBytes([1, 2, 3]))
            for _ in 0..<60 {
                let range = random.range(in: 200_000, longest: 50_000)
                let style = UInt8.random(in: 0..<6, using: &random)
                let bytes = random.bytes(range.count)
                for file in [file, model] as [any HostFile] {
                    switch style {
                    case 0: try file.truncate(to: range.lowerBound)
                    case 1, 2: try file.zero(range)
                    default: try file.write(bytes, at: range.lowerBound)
                    }
                }
                #expect(try file.size() == model.size())
            }
            try file.synchronize()
            #expect(try scratch.read("file") == model.content)
        }
    }

    @Test func readsAtTheEndAreShort() throws {
        try withScratchFolder { scratch in
            let file = try openFile(scratch.write([1, 2, 3], to: "file"), writable: false)
            #expect(try file.readBytes("all", at: 0, count: 3) == [1, 2, 3])
            let error = #expect(throws: DiskError.self) { try file.readBytes("a structure", at: 1, count: 3) }
            #expect(error?.kind == .truncated)
            #expect(error?.path == file.path)
        }
    }

    @Test func zerosNeverMakeAFileLonger() throws {
        try withScratchFolder { scratch in
            let file = try openFile(scratch.write([UInt8](repeating: 1, count: 5000), to: "file"), writable: true)
            try file.zero(4000..<9000)
            try file.zero(20_000..<30_000)
            #expect(try file.size() == 5000)
            #expect(try file.readBytes("end", at: 3999, count: 2) == [1, 0])
        }
    }

    @Test func runsOfDataAndHolesCoverTheFile() throws {
        try withScratchFolder { scratch in
            var content = SparseBytes(count: 10 << 20)
            content.store([UInt8](repeating: 1, count: 100_000), at: 3 << 20)
            let file = try openFile(scratch.write(content, to: "file"), writable: false)
            var offset: UInt64 = 0
            var data: UInt64 = 0
            while offset < content.count {
                let run = file.allocation(at: offset, limit: content.count)
                try #require(run.end > offset && run.end <= content.count)
                if run.isData { data += run.end - offset }
                if !run.isData {
                    #expect(SparseBytes(content[offset..<run.end]) == SparseBytes(count: run.end - offset))
                }
                offset = run.end
            }
            #expect(data >= 100_000)
            #expect(try file.usage().allocatedBytes >= 100_000)
            #expect(try file.usage().modifiedSeconds > 1_600_000_000)
        }
    }

    @Test func errorsKeepTheirMeaning() throws {
        func kind(_ body: () throws(DiskError) -> Void) -> DiskError.Kind? {
            do { try body() } catch {
                #expect(error.errno != nil && error.path != nil)
                return error.kind
            }
            return nil
        }
        try withScratchFolder { scratch in
            let readOnly = try openFile(scratch.write([1, 2, 3], to: "file"), writable: false)
            #expect(kind { () throws(DiskError) in try readOnly.write([1], at: 0) } == .readOnly)
            let full = try openFile("/dev/full", writable: true)
            #expect(kind { () throws(DiskError) in try full.write([1], at: 0) } == .noSpace)
            let folder = try openFile(scratch.path, writable: false)
            #expect(kind { () throws(DiskError) in _ = try folder.readBytes("a folder", at: 0, count: 1) } == .io)
        }
    }

    @Test func hugeOffsetsAreErrorsNotTraps() throws {
        try withScratchFolder { scratch in
            let file = try openFile(scratch.write([1, 2, 3], to: "file"), writable: true)
            #expect(throws: DiskError.self) { try file.readBytes("nothing", at: .max, count: 1) }
            #expect(throws: DiskError.self) { try file.write([1], at: .max) }
            #expect(throws: DiskError.self) { try file.truncate(to: .max) }
            #expect(try file.size() == 3)
        }
    }
}
