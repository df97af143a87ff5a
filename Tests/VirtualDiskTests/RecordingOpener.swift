import Platform
import SystemPackage

/// Opens files as a user's daemon does, and remembers for whom and which.
final class RecordingOpener: FileOpener {
    private let opener = DirectOpener()
    private let record = Locked<[(path: FilePath, user: UInt32)]>([])

    /// What was opened since it was last asked: the file names.
    func takeNames() -> [String] {
        record.withLock { record in
            defer { record = [] }
            return record.map { $0.path.lastComponent?.string ?? "" }
        }
    }

    /// For whom, since the names were last taken.
    var users: Set<UInt32> { Set(record.withLock { $0 }.map(\.user)) }

    func open(
        _ path: FilePath,
        _ purpose: OpenPurpose,
        as credentials: Credentials,
        cancellation: Cancellation?
    ) throws(OpenError) -> Descriptor {
        record.withLock { $0.append((path, credentials.user)) }
        return try opener.open(path, purpose, as: credentials, cancellation: cancellation)
    }
}
