internal import Glibc
public import SystemPackage

/// Opens files with the daemon's own rights: for a user's daemon, which serves only that user and root.
public final class DirectOpener: FileOpener {
    /// Makes an opener.
    public init() {}

    /// Opens a file, on a thread that can be left behind if the wait can be cancelled; `credentials` are not looked at.
    public func open(
        _ path: FilePath,
        _ purpose: OpenPurpose,
        as credentials: Credentials,
        cancellation: Cancellation? = nil
    ) throws(OpenError) -> Descriptor {
        guard let cancellation else { return try purpose.open(path) }
        let attempt: Attempt
        do {
            attempt = try Attempt()
        } catch {
            throw .failed(error)
        }
        guard startThread("open", { attempt.run { () throws(OpenError) in try purpose.open(path) } }) else {
            throw .failed(.resourceTemporarilyUnavailable)
        }
        try Cancellation.wait(for: attempt.finished.descriptor, POLLIN, or: cancellation)
        return try attempt.result()
    }
}

/// One open on a thread of its own. Whoever leaves last drops it, and closes what was opened too late.
private final class Attempt: Sendable {
    let finished: Event
    private let outcome = Locked<Result<Descriptor, OpenError>>(.failure(.cancelled))

    init() throws(Errno) {
        finished = try Event()
    }

    func run(_ open: () throws(OpenError) -> Descriptor) {
        let result = Result(catching: open)
        outcome.withLock { $0 = result }
        finished.raise()
    }

    func result() throws(OpenError) -> Descriptor {
        try outcome.withLock { $0 }.get()
    }
}
