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

    private let table: AttachmentTable
    private let path: FilePath
    private let words: AttachWords
    private let requester: Requester
    private let lifetime: Lifetime
    private let progress = Monitor(Progress.running)

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

    /// Attaches; throws ERROR_OPERATION_ABORTED, with nothing attached, when the interruption is raised first.
    func run(_ interruption: Interruption) throws(AttachError) -> Attachment {
        let cancellation: Cancellation
        do {
            cancellation = try Cancellation()
        } catch {
            throw AttachError(.notEnoughMemory, "no more files can be opened: \(error.description)")
        }
        guard startThread("attach", { self.attach(cancellation) }) else {
            throw AttachError(.notEnoughMemory, "no more threads can be started")
        }
        interruption.observe { [progress] in progress.update { _ in } }
        defer { interruption.observe(nil) }

        let result: Result<Attachment, AttachError>? =
            progress.wait { progress in
                if case .done(let result) = progress { return .some(result) }
                return interruption.isRaised ? .some(nil) : nil
            } ?? nil
        if let inTime = result ?? resultSoon() { return try inTime.get() }
        cancellation.cancel()
        return try stopped()
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

    private func stopped() throws(AttachError) -> Attachment {
        if let inTime = resultSoon() { return try inTime.get() }
        let last: Result<Attachment, AttachError> = progress.update { progress in
            if case .done(let result) = progress { return result }
            progress = .abandoned
            return .failure(AttachError(.operationAborted, "interrupted", path: path.string))
        }
        return try last.get()
    }
}
