internal import ControlLanguage
internal import FileSystem
internal import Platform
internal import SystemPackage
internal import VirtualDisk

/// One attach on a thread of its own, so that a signal frees the one who waits even when a file server hangs.
final class AttachJob: Sendable {
    private enum Progress: Sendable {
        case running
        case done(Result<Attachment, AttachError>)
        /// Nobody waits any more.
        case abandoned
    }

    /// Why the one who waits goes on.
    private enum End {
        case result(Result<Attachment, AttachError>)
        case interruption
    }

    private let table: AttachmentTable
    private let path: FilePath
    private let words: AttachWords
    private let requester: Requester
    private let lifetime: Lifetime
    private let progress = Monitor(Progress.running)
    private let thread = WatchedThread()

    /// How long an attach whose caller has had a signal may go on before it is stopped, and then, to stop by itself. Most are done long
    /// before: a shell that hears of a child's end while it writes is not to find its request refused.
    private static let patience = Duration.milliseconds(200)

    init(
        _ table: AttachmentTable,
        _ path: FilePath,
        _ words: AttachWords,
        _ requester: Requester,
        _ lifetime: Lifetime
    ) {
        self.table = table
        self.path = path
        self.words = words
        self.requester = requester
        self.lifetime = lifetime
    }

    /// Attaches; throws ERROR_OPERATION_ABORTED, with nothing attached, when the interruption is raised first, and ERROR_TIMEOUT when it gets
    /// nowhere.
    func run(_ interruption: Interruption) throws(AttachError) -> Attachment {
        let cancellation: Cancellation
        do {
            cancellation = try Cancellation()
        } catch {
            throw AttachError(.notEnoughMemory, "no more files can be opened: \(error.description)")
        }
        let hasStarted = startThread("attach") { [self] in
            thread.begin()
            attach(cancellation)
        }
        guard hasStarted else { throw AttachError(.notEnoughMemory, "no more threads can be started") }
        interruption.observe { [progress] in progress.update { _ in } }
        defer { interruption.observe(nil) }

        let end = thread.wait(limit: table.configuration.patience) { patience in
            progress.wait(timeout: patience) { progress -> End? in
                if case .done(let result) = progress { return .result(result) }
                return interruption.isRaised ? .interruption : nil
            }
        }
        if case .result(let result) = end { return try result.get() }
        if let inTime = resultSoon() { return try inTime.get() }
        cancellation.cancel()
        return try stopped(
            end == nil
                ? AttachError(.timeout, "the host of the image, or of a parent, does not answer", path: path.string)
                : AttachError(.operationAborted, "interrupted", path: path.string)
        )
    }

    private func resultSoon() -> Result<Attachment, AttachError>? {
        progress.wait(timeout: Self.patience) { progress in
            if case .done(let result) = progress { return result }
            return nil
        }
    }

    private func attach(_ cancellation: Cancellation) {
        let result: Result<Attachment, AttachError>
        do {
            result = .success(
                try table.attach(path, words, for: requester, lifetime: lifetime, cancellation: cancellation)
            )
        } catch {
            result = .failure(error)
        }
        let isAbandoned = progress.update { progress in
            if case .abandoned = progress { return true }
            progress = .done(result)
            return false
        }
        // It came through in the very moment in which its caller was sent away.
        if isAbandoned, case .success(let attachment) = result { table.withdraw(attachment) }
    }

    /// What it has come to after all; else, and if it was stopped in time, the reason.
    private func stopped(_ reason: AttachError) throws(AttachError) -> Attachment {
        let last: Result<Attachment, AttachError> =
            resultSoon()
            ?? progress.update { progress in
                if case .done(let result) = progress { return result }
                progress = .abandoned
                return .failure(reason)
            }
        if case .failure(let error) = last, error.error == .operationAborted { throw reason }
        return try last.get()
    }
}
