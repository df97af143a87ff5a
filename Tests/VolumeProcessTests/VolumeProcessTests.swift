import BlockDevice
import ByteIO
import Glibc
import Logging
import Platform
import SystemPackage
import TestSupport
import Testing
import VolumeProcess
import Volumes

/// The daemon's side of the readers: whatever the other process does, calls end, with the right error.
@Suite(.timeLimit(.minutes(10)))
struct VolumeProcessTests {
    /// A reader that is a Python program. It has `need(offset, count)`, `part(bytes)`, `done(bytes)`, `fail(kind, text)`, and `handle(verb, payload)`
    /// is what the test gives; an open is answered with root 5.
    private func withReader(
        _ body: String,
        patience: Duration = .seconds(2),
        idleLimit: Duration = .seconds(60),
        size: Int = 65536,
        _ test: (() throws -> ProcessVolume, Lines, String) throws -> Void
    ) throws {
        try withScratchFolder { scratch in
            let program = """
                #!/usr/bin/env python3
                import os, socket, struct, sys, time
                s = socket.socket(fileno=0)
                open('\(scratch.path)/starts', 'a').write('%d\\n' % os.getpid())
                def receive(n):
                    b = b''
                    while len(b) < n:
                        x = s.recv(n - len(b))
                        if not x: os._exit(0)
                        b += x
                    return b
                def frame():
                    n, kind = struct.unpack('<IB', receive(5))
                    return kind, receive(n)
                def send(kind, b): s.sendall(struct.pack('<IB', len(b), kind) + b)
                def part(b): send(17, b)
                def done(b): send(18, b)
                def fail(kind, text): send(19, struct.pack('<BH', kind, len(text)) + text.encode())
                def need(offset, count):
                    send(16, struct.pack('<QI', offset, count))
                    return frame()
                def content(size, *runs): done(struct.pack('<QQ', size, 1) + b''.join(runs))
                def run(kind, count, *place): return struct.pack('<B', kind) + b''.join(struct.pack('<Q', p) for p in place) + struct.pack('<Q', count)
                def opened(): done(struct.pack('<QIQ', 5, 512, 128))
                def handle(verb, payload): pass
                \(body.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\n"))
                while True:
                    kind, b = frame()
                    verb = b[0]
                    if verb == 1 and 'onopen' in globals(): onopen()
                    elif verb == 1: opened()
                    else: handle(verb, b[1:])
                """
            let path = try scratch.write(Array(program.utf8), to: "reader")
            try run("chmod", "755", path).checked()
            var disk = SparseBytes(count: UInt64(size))
            disk.store((0..<size).map { UInt8(truncatingIfNeeded: $0 / 256 &* 7 &+ $0) }, at: 0)
            let device = MemoryDevice(disk, isReadOnly: true)
            let lines = Lines()
            let launcher = VolumeLauncher(
                program: FilePath(path),
                patience: patience,
                idleLimit: idleLimit,
                log: Logger(label: "test") { _ in LineLog(lines) }
            )
            try test(
                { try ProcessVolume(name: "d/p1", device: device, fileSystem: .ntfs, launcher: launcher) },
                lines,
                scratch.path("starts")
            )
        }
    }

    private func starts(_ path: String) throws -> [Int32] {
        let bytes = try readFile(path)
        return String(decoding: bytes[0..<bytes.count], as: UTF8.self).split(separator: "\n").compactMap { Int32($0) }
    }

    private func expectLoss(_ words: String, _ body: () throws -> Void) {
        do {
            try body()
            Issue.record("no error")
        } catch let error as VolumeError {
            #expect(error.kind == .reader, "\(error)")
            #expect(error.text.contains(words), "\(error)")
        } catch {
            Issue.record(error)
        }
    }

    // MARK: Content

    @Test func contentComesFromTheDeviceAndFromTheReader() throws {
        let body = """
            def handle(verb, payload):
                if verb == 5: content(3500, run(1, 1000, 512), run(2, 500), run(3, 1000), run(4, 500), run(3, 500))
                if verb == 6:
                    file, stream, offset, count = struct.unpack('<QIQI', payload)
                    done(bytes((i * 3) % 256 for i in range(offset, offset + count)))
            """
        try withReader(body) { open, _, _ in
            let volume = try open()
            let file = try volume.open(FileID(rawValue: 7))
            defer { volume.close() }
            #expect(file.size == 3500)
            func read(_ range: Range<Int>) throws -> [UInt8] {
                var bytes = [UInt8](repeating: 0xEE, count: range.count)
                try bytes.withMutableBytes { (span) throws(VolumeError) in
                    try file.read(into: &span, at: UInt64(range.lowerBound))
                }
                return bytes
            }
            let device = (0..<65536).map { UInt8(truncatingIfNeeded: $0 / 256 &* 7 &+ $0) }
            let child = (0..<3500).map { UInt8(truncatingIfNeeded: $0 * 3) }
            let expected = Array(device[512..<1512]) + [UInt8](repeating: 0, count: 500) + child[1500..<2500]
            #expect(try read(0..<2500) == expected)
            #expect(try read(990..<1510) == Array(expected[990..<1510]))
            #expect(try read(1400..<1600) == Array(expected[1400..<1600]))
            #expect(throws: VolumeError.self) { try read(2400..<2600) }
            #expect(throws: VolumeError.self) { try read(2500..<3000) }
            #expect(try read(3000..<3500) == Array(child[3000..<3500]))
            #expect(try file.allocation(at: 1100, limit: 3500).isData == false)
            #expect(try file.allocation(at: 1100, limit: 3500).end == 1500)
        }
    }

    /// Runs that don't fit together, or not into the file.
    @Test(arguments: [
        "content(100, run(1, 50, 0))", "content(100, run(1, 150, 0))", "content(100, run(2, 0), run(2, 100))",
        "content(100, run(1, 100, 1 << 60))", "content(100, run(2, 1 << 63), run(2, 1 << 63), run(2, 100))",
        "done(b'x')",
        "done(struct.pack('<Q', 100) + b'\\x09')",
    ])
    func runsThatCannotBeAreRefused(_ answer: String) throws {
        try withReader("def handle(verb, payload): \(answer)") { open, _, _ in
            let volume = try open()
            expectLoss("can't be read") { _ = try volume.open(FileID(rawValue: 7)) }
        }
    }

    @Test func foldersComeInParts() throws {
        let body = """
            def handle(verb, payload):
                for i in range(1000):
                    name = b'name %d' % i
                    part(struct.pack('<BBBQH', 0, i % 2, 1, i + 10, len(name)) + name)
                done(struct.pack('<BQ', 1, 5))
            """
        try withReader(body) { open, _, _ in
            let folder = try open().folder(FileID(rawValue: 9))
            #expect(folder.entries.count == 1000)
            #expect(folder.parent == FileID(rawValue: 5))
            #expect(Array(folder.name(of: folder.entries[999])) == Array("name 999".utf8))
            #expect(folder.entries[3].isHidden && folder.entries[3].file == FileID(rawValue: 13))
        }
    }

    @Test func refusalsAreNoLoss() throws {
        let body = """
            def handle(verb, payload): fail(3, 'encrypted') if verb == 5 else fail(2, 'broken')
            """
        try withReader(body) { open, lines, starts in
            let volume = try open()
            #expect(throws: VolumeError.self) { try volume.attributes(of: FileID(rawValue: 1)) }
            do throws(VolumeError) {
                _ = try volume.open(FileID(rawValue: 1))
                Issue.record("no error")
            } catch {
                #expect(error.kind == .unsupported && error.text == "encrypted")
            }
            #expect(try self.starts(starts).count == 1)
            #expect(lines.withLock { $0 }.isEmpty)
        }
    }

    // MARK: Losses

    @Test(arguments: [
        ("os._exit(3)", "exited with status 3"), ("os.kill(os.getpid(), 11)", "signal 11"),
        ("time.sleep(100)", "did not answer"),
        ("s.sendall(b'garbage garbage garbage')", "no message"), ("done(b'too short')", "can't be read"),
        ("need(1 << 60, 1 << 30)", "can't be"), ("need(0, 0)", "can't be"), ("part(b'x')", "parts"),
        ("send(1, b'')", "not for us"),
        ("\n    while True: send(16, struct.pack('<QI', 0, 512)); frame()", "did not answer"),
    ])
    func whateverItDoesCallsEnd(_ deed: String, _ words: String) throws {
        try withReader("def handle(verb, payload): \(deed)", patience: .milliseconds(700)) { open, lines, _ in
            let volume = try open()
            let start = ContinuousClock.now
            expectLoss(words) { _ = try volume.attributes(of: FileID(rawValue: 1)) }
            #expect(ContinuousClock.now - start < .seconds(30))
            #expect(lines.withLock { $0 }.count == (words == "can't be read" ? 0 : 1))
        }
    }

    @Test func bytesPastTheEndAreRefusedToTheReader() throws {
        let body = """
            def handle(verb, payload):
                kinds = [need(*r)[0] for r in [(65536, 1), (65535, 2), ((1 << 64) - 1, 1000), (65535, 1)]]
                fail(2, repr(kinds))
            """
        try withReader(body) { open, _, _ in
            let volume = try open()
            do throws(VolumeError) {
                _ = try volume.attributes(of: FileID(rawValue: 1))
                Issue.record("no error")
            } catch {
                #expect(error.text == "[3, 3, 3, 2]")
            }
        }
    }

    /// It is started again at the next use, but not for ever at once.
    /// The time of the disk is not the reader's fault; that in which it does not take what it has asked for is.
    @Test func aReaderThatTakesBytesSlowlyIsEnded() throws {
        let body = """
            def handle(verb, payload):
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                while True:
                    send(16, struct.pack('<QI', 0, 1 << 20))
                    time.sleep(1.2)
                    frame()
            """
        try withReader(body, patience: .seconds(2), size: 1 << 20) { open, _, _ in
            let volume = try open()
            defer { volume.close() }
            expectLoss("did not answer for 2 seconds") { _ = try volume.attributes(of: FileID(rawValue: 7)) }
        }
    }

    /// A folder of so many bytes of names is no folder: it would cost the daemon gigabytes.
    @Test func aFolderOfEndlessNamesIsRefused() throws {
        let body = """
            def handle(verb, payload):
                name = b'n' * 65000
                entry = struct.pack('<BBBQH', 0, 0, 1, 7, len(name)) + name
                for i in range(1 << 20): part(entry * 30)
                done(struct.pack('<BQ', 0, 0))
            """
        try withReader(body, patience: .seconds(60)) { open, _, _ in
            let volume = try open()
            defer { volume.close() }
            expectLoss("names") { _ = try volume.folder(FileID(rawValue: 5)) }
        }
    }

    @Test func startsBackOff() throws {
        try withReader("def handle(verb, payload): os._exit(1)") { open, _, starts in
            let volume = try open()
            for _ in 0..<20 { #expect(throws: VolumeError.self) { try volume.attributes(of: FileID(rawValue: 1)) } }
            #expect((3...6).contains(try self.starts(starts).count))
            expectLoss("in a while") { _ = try volume.attributes(of: FileID(rawValue: 1)) }
            sleep(2)
            expectLoss("exited with status 1") { _ = try volume.attributes(of: FileID(rawValue: 1)) }
        }
    }

    @Test func everybodyWhoWaitsFailsWithIt() throws {
        try withReader("def handle(verb, payload): time.sleep(100)", patience: .seconds(1)) { open, _, _ in
            let volume = try open()
            let start = ContinuousClock.now
            let failures = Locked(0)
            let done = Monitor(0)
            for _ in 0..<20 {
                startThread("test") {
                    if (try? volume.attributes(of: FileID(rawValue: 1))) == nil { failures.withLock { $0 += 1 } }
                    done.update { $0 += 1 }
                }
            }
            _ = done.wait(timeout: .seconds(60)) { $0 == 20 ? true : nil }
            #expect(failures.withLock { $0 } == 20)
            #expect(ContinuousClock.now - start < .seconds(15))
        }
    }

    @Test func closingEndsWhatRuns() throws {
        try withReader("def handle(verb, payload): time.sleep(100)", patience: .seconds(60)) { open, lines, starts in
            let volume = try open()
            let result = Monitor<VolumeError.Kind?>(nil)
            startThread("test") {
                do throws(VolumeError) {
                    _ = try volume.attributes(of: FileID(rawValue: 1))
                } catch {
                    result.update { $0 = error.kind }
                }
            }
            usleep(300_000)
            volume.close()
            #expect(result.wait(timeout: .seconds(20)) { $0 } == .gone)
            let child = try #require(try self.starts(starts).last)
            #expect(kill(child, 0) == -1)
            #expect(lines.withLock { $0 }.isEmpty)
            #expect(throws: VolumeError.self) { try volume.attributes(of: FileID(rawValue: 1)) }
        }
    }

    @Test func anIdleReaderEndsAndComesBack() throws {
        let body = "def handle(verb, payload): fail(2, 'answer')"
        try withReader(body, idleLimit: .milliseconds(200)) { open, lines, starts in
            let volume = try open()
            let first = try #require(try self.starts(starts).last)
            for _ in 0..<500 where kill(first, 0) == 0 { usleep(20_000) }
            #expect(kill(first, 0) == -1)
            #expect(throws: VolumeError.self) { try volume.attributes(of: FileID(rawValue: 1)) }
            #expect(try self.starts(starts).count == 2)
            #expect(lines.withLock { $0 }.isEmpty)
        }
    }

    @Test func aProgramThatIsNotThere() throws {
        let launcher = VolumeLauncher(program: "/no/such/program", log: Logger(label: "test") { _ in LineLog(Lines()) })
        let device = MemoryDevice(SparseBytes(count: 512))
        expectLoss("can't be started") {
            _ = try ProcessVolume(name: "x", device: device, fileSystem: .ext, launcher: launcher)
        }
    }
}

/// What has been logged.
final class Lines: Sendable {
    let lines = Locked<[String]>([])

    func withLock<R: Sendable>(_ body: (inout [String]) -> R) -> R {
        lines.withLock { body(&$0) }
    }
}

/// Keeps what is logged.
private struct LineLog: LogHandler {
    let box: Lines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    init(_ lines: Lines) {
        box = lines
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        box.lines.withLock { $0.append("\(event.message)") }
    }
}
