internal import FileSystem
internal import Platform
internal import SystemPackage
internal import VirtualDisk

/// Finds a caller's working directory on a thread of its own: a look at its path may hang with the file server that it is on, and a signal
/// is to free the caller all the same.
struct LocatingJob {
    private enum Progress: Sendable {
        case running
        case done(FilePath?)
    }

    let thread: Int32
    /// How long it may take; nil: for ever.
    let limit: Duration?
    /// As in `AttachJob`: most are done before it matters that a signal has come.
    private static let patience = Duration.milliseconds(200)

    /// The directory, or nil when it can't be known; throws ERROR_OPERATION_ABORTED when the interruption is raised first, and ERROR_TIMEOUT when it
    /// takes too long.
    func run(_ interruption: Interruption) throws(AttachError) -> FilePath? {
        let progress = Monitor(Progress.running)
        let locate: @Sendable () -> Void = { [thread] in
            let found = CallerContext.workingDirectory(ofThread: thread)
            progress.update { $0 = .done(found) }
        }
        guard startThread("locate", locate) else {
            throw AttachError(.notEnoughMemory, "no more threads can be started")
        }
        interruption.observe { progress.update { _ in } }
        defer { interruption.observe(nil) }
        let isInterrupted = progress.wait(timeout: limit) { progress -> Bool? in
            if case .done = progress { return false }
            return interruption.isRaised ? true : nil
        }
        guard let isInterrupted else {
            throw AttachError(.timeout, "the host of the working directory does not answer")
        }
        let found = progress.wait(timeout: isInterrupted ? Self.patience : nil) { progress -> FilePath?? in
            if case .done(let found) = progress { return .some(found) }
            return nil
        }
        guard let found else { throw AttachError(.operationAborted, "interrupted") }
        return found
    }
}
