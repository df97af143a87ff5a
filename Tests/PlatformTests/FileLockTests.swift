import Glibc
import SystemPackage
import Testing

@testable import Platform

@Suite struct FileLockTests {
    let scratch: ScratchFolder
    let path: FilePath

    init() throws {
        scratch = try ScratchFolder()
        path = try scratch.file("image", [UInt8](repeating: 0, count: 65536))
    }

    private func lock(_ kind: FileLock.Kind) throws -> FileLock {
        try .acquire(kind, on: Descriptor(opening: path, flags: kind == .exclusive ? O_RDWR : O_RDONLY))
    }

    /// Whether a lock is refused because others have the file.
    private func isBusy(_ kind: FileLock.Kind) throws -> Bool {
        do {
            _ = try lock(kind)
            return false
        } catch FileLockError.busy {
            return true
        }
    }

    // MARK: Ours against ours

    @Test func readersShareAndWritersDoNot() throws {
        do {
            let readers = try [lock(.shared), lock(.shared)]
            #expect(try isBusy(.exclusive))
            #expect(try !isBusy(.shared), "what a refused writer had locked is left behind")
            #expect(readers.count == 2)
        }
        do {
            let writer = try lock(.exclusive)
            #expect(try isBusy(.exclusive))
            #expect(try isBusy(.shared))
            try writer.downgrade()
            #expect(try !isBusy(.shared))
            #expect(try isBusy(.exclusive))
            writer.release()
            #expect(try !isBusy(.exclusive))
        }
        #expect(try !isBusy(.exclusive))
    }

    @Test func excludesByEachOfItsLocksAlone() throws {
        // As on a network file system, where flock is left out.
        let writer = try lock(.exclusive)
        flock(writer.file.rawValue, LOCK_UN)
        #expect(try isBusy(.shared))
        // As one who knows flock only.
        writer.release()
        let other = try ChildProcess("flock", "-x", path.string, "cat")
        other.send("x\n")
        #expect(try other.readLine() == "x")
        #expect(try isBusy(.shared))
        other.end()
    }

    @Test func anOldLockDoesNotGiveUpANewOne() throws {
        let file = try Descriptor(opening: path, flags: O_RDWR)
        var old: FileLock? = try FileLock.acquire(.exclusive, on: file)
        old?.release()
        let new = try FileLock.acquire(.exclusive, on: file)
        old = nil
        #expect(try isBusy(.shared))
        withExtendedLifetime(new) {}
    }

    @Test func namesWhoHoldsTheFile() throws {
        let holder = try ChildProcess.python(
            "import fcntl, sys\nf = open(sys.argv[1])\nfcntl.flock(f, fcntl.LOCK_EX)",
            path.string
        )
        let reader = try ChildProcess.python("import sys\nf = open(sys.argv[1])", path.string)
        let expected = FileLockError.busy(holders: [FileHolder(processID: holder.id, name: "python3")])
        #expect(throws: expected) { try lock(.shared) }
        withExtendedLifetime(reader) {}
    }

    @Test func tellsHostsWithoutLocksFromOtherFailures() throws {
        let reader = try Descriptor(opening: path, flags: O_RDONLY)
        #expect(throws: FileLockError.failed(.badFileDescriptor)) { try FileLock.acquire(.exclusive, on: reader) }
        for errno in [ENOLCK, EOPNOTSUPP, ENOSYS] {
            #expect(FileLockError(Errno(rawValue: errno), reader) == .unsupported)
        }
        #expect(FileLockError(.ioError, reader) == .failed(.ioError))
    }

    // MARK: Ours against QEMU's

    private static let hasQEMU = (try? FilePath("/usr/bin/qemu-io").status()) != nil

    /// A QEMU that has the image open.
    private func startQEMU(_ options: String...) throws -> ChildProcess {
        let child = try ChildProcess(["qemu-io", "-f", "raw"] + options + [path.string])
        child.send("read 0 512\n")
        let answer = try child.readLine()
        try #require(answer.contains("read 512/512"), "\(answer)")
        return child
    }

    /// What a QEMU tool says that runs to its end; empty when all went well.
    private func complaint(_ words: String...) throws -> String {
        let child = try ChildProcess(words + [path.string])
        let output = child.readAll()
        return child.wait() == 0 ? "" : output
    }

    private func complaintOfWriter() throws -> String { try complaint("qemu-io", "-f", "raw", "-c", "write 0 512") }
    private func complaintOfReader() throws -> String {
        try complaint("qemu-io", "-r", "-f", "raw", "-c", "read 0 512")
    }

    @Test(.enabled(if: hasQEMU, "needs qemu-io"))
    func seesQEMUWriting() throws {
        let qemu = try startQEMU()
        let expected = FileLockError.busy(holders: [FileHolder(processID: qemu.id, name: "qemu-io")])
        #expect(throws: expected) { try lock(.shared) }
        #expect(throws: expected) { try lock(.exclusive) }
        qemu.end()
        #expect(try !isBusy(.exclusive))
    }

    @Test(.enabled(if: hasQEMU, "needs qemu-io"))
    func seesQEMUReading() throws {
        let qemu = try startQEMU("-r")
        #expect(try !isBusy(.shared))
        #expect(try isBusy(.exclusive))
        withExtendedLifetime(qemu) {}
    }

    @Test(.enabled(if: hasQEMU, "needs qemu-io"))
    func isSeenByQEMU() throws {
        let writer = try lock(.exclusive)
        #expect(try complaintOfWriter().contains("lock"))
        #expect(try complaintOfReader().contains("lock"))
        #expect(try isBusy(.exclusive))
        try writer.downgrade()
        #expect(try complaintOfReader() == "")
        #expect(try complaintOfWriter().contains("lock"))
        writer.release()
        #expect(try complaintOfWriter() == "")
        let reader = try lock(.shared)
        #expect(try complaintOfReader() == "")
        #expect(try complaintOfWriter().contains("lock"))
        reader.release()
        #expect(try complaintOfWriter() == "")
    }

    /// Formats with structures of their own have QEMU lock in other ways than raw ones.
    @Test(.enabled(if: hasQEMU, "needs qemu-io"))
    func isSeenByQEMUAsAVHD() throws {
        let path = scratch("a.vhd")
        func complaint(_ words: String...) throws -> String {
            let child = try ChildProcess(words + [path.string])
            let output = child.readAll()
            return child.wait() == 0 ? "" : output
        }
        let made = try ChildProcess("qemu-img", "create", "-f", "vpc", path.string, "8M")
        try #require(made.wait() == 0)
        let lock = try FileLock.acquire(.exclusive, on: Descriptor(opening: path, flags: O_RDWR))
        #expect(try complaint("qemu-img", "info").contains("lock"))
        #expect(try complaint("qemu-img", "check", "-f", "vpc").contains("lock"))
        try lock.downgrade()
        #expect(try complaint("qemu-img", "info") == "")
        #expect(try complaint("qemu-io", "-f", "vpc", "-c", "write 0 512").contains("lock"))
    }
}
