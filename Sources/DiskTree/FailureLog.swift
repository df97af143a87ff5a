internal import ControlLanguage
internal import Platform
internal import VirtualDisk

/// The last requests that failed, for those who write with `echo` and see only an errno.
final class FailureLog: Sendable {
    private struct Failure {
        var user: UInt32
        var line: [UInt8]
    }

    private static let limit = 16
    private let failures = Locked<[Failure]>([])

    /// Keeps a failure.
    func note(_ error: AttachError, user: UInt32) {
        failures.withLock { failures in
            failures.append(Failure(user: user, line: [UInt8]("# ".utf8) + error.response.line))
            if failures.count > Self.limit { failures.removeFirst() }
        }
    }

    /// The failures as comment lines, the oldest first: those of one user, or all.
    func lines(for user: UInt32?) -> [[UInt8]] {
        failures.withLock { $0 }.filter { user == nil || $0.user == user }.map(\.line)
    }
}

extension AttachError {
    /// The line that answers a request that failed so.
    var response: Response {
        .failed(code: error.code, name: error.name, text: explanation)
    }
}
