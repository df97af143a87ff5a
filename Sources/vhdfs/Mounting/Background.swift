internal import CPlatform
internal import FUSEServer
internal import Glibc
internal import Platform
internal import SystemPackage
internal import VirtualDisk

/// The way into the background: a parent waits until its child can be used, and ends as the child did if it could not.
struct Background {
    private let ready: FileDescriptor

    /// Goes on in a child process, away from the terminal; returns only there. For a process without threads.
    static func enter() throws(AttachError) -> Background {
        do throws(Errno) {
            let (waiting, ready) = try FileDescriptor.pipe(options: .closeOnExec)
            let child = platform_fork()
            if child == -1 { throw Errno(rawValue: errno) }
            if child != 0 {
                try? ready.close()
                exit(follow(child, waiting))
            }
            try? waiting.close()
            setsid()
            // fusermount3 may live as long as we do (auto_unmount): it must not hold the shell's pipes.
            try silence(.standardInput, .standardOutput)
            return Background(ready: ready)
        } catch {
            throw AttachError(error, "going into the background", path: "vhdfs")
        }
    }

    /// Has another thread do all that is left to do, and waits for it.
    ///
    /// Swift's locks on Linux, those inside of its runtime included, hold the number of the thread that has them, and each thread keeps
    /// its own at hand. The one that came out of the fork has that of its parent: as soon as another waits for a lock of it, it can't give
    /// that back, and both hang.
    static func runOnFreshThread(_ body: @escaping @Sendable () throws(AttachError) -> Void) throws(AttachError) {
        let outcome = Monitor<Result<Void, AttachError>?>(nil)
        let hasStarted = startThread("vhdfs") {
            let result = Result { () throws(AttachError) in try body() }
            outcome.update { $0 = result }
        }
        guard hasStarted else { throw AttachError(FUSEError.noThread) }
        try outcome.wait { $0 }?.get()
    }

    /// What went wrong the child says itself: it has the same standard error.
    private static func follow(_ child: Int32, _ waiting: FileDescriptor) -> Int32 {
        if Processes.waitForWord(from: waiting) { return Program.Status.success }
        let status = Processes.waitForEnd(of: child)
        if status >= 128 { Console.complain("the daemon was killed by signal \(status - 128)") }
        return Program.Status.failure
    }

    private static func silence(_ streams: FileDescriptor...) throws(Errno) {
        do {
            let null = try FileDescriptor.open(FilePath("/dev/null"), .readWrite)
            for stream in streams { _ = try null.duplicate(as: stream) }
            if null.rawValue > FileDescriptor.standardError.rawValue { try null.close() }
        } catch {
            throw error as? Errno ?? .ioError
        }
    }

    /// Lets go of the terminal and tells the parent that all is well.
    ///
    /// - Throws: when the parent waits no longer; somebody has interrupted it.
    func becomeReady() throws(AttachError) {
        do {
            _ = try ready.writeAll([1])
            try ready.close()
            try Self.silence(.standardError)
        } catch {
            throw AttachError(.operationAborted, "interrupted")
        }
    }
}
