internal import ControlLanguage
internal import FoundationEssentials
internal import Platform
public import SystemPackage

/// The permanent attachments of one mount point: a small file each, written whole and synced before anybody is told.
public final class PermanentJournal: Sendable {
    private static let suffix = ".json"
    private static let sizeLimit = 1 << 20

    private let stateDirectory: FilePath
    private let folder: FilePath
    private let mountPoint: FilePath
    /// Changes come one after the other: the folder comes with the first record and goes with the last.
    private let change = Locked(())

    /// Uses the folder for a mount point in a state directory. Both are made when there is something to record.
    ///
    /// - Parameter stateDirectory: mode 0700, owned by this process's user, no symbolic link, if it is there; else refused: what is
    ///   recorded in it is opened with other users' rights.
    public init(stateDirectory: FilePath, mountPoint: FilePath) throws(AttachError) {
        self.stateDirectory = stateDirectory
        self.mountPoint = mountPoint
        folder = stateDirectory.appending(Self.folderName(for: mountPoint))
        do {
            _ = try openFolders(makingThem: false)
        } catch .failed {
            // Not there, or not to be reached: an error only for what is to be recorded.
        } catch {
            throw refusal(error)
        }
    }

    private func openFolders(makingThem: Bool) throws(PrivateDirectoryError) -> Descriptor {
        _ = try openPrivateDirectory(stateDirectory, makesMissing: makingThem)
        return try openPrivateDirectory(folder, makesMissing: makingThem)
    }

    private func refusal(_ error: PrivateDirectoryError) -> AttachError {
        AttachError(
            .accessDenied,
            "permanent attachments can't be recorded: the state directory \(error.text); "
                + "another place can be given with --state-dir",
            path: stateDirectory.string
        )
    }

    /// A name for a path of any length: its readable end, and a number from all of it.
    private static func folderName(for path: FilePath) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in path.bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        let readable = AttachmentName.derived(fromFileName: (path.lastComponent?.string ?? "root").utf8)
        let digits = String(hash, radix: 16)
        return "\(readable.text.prefix(100))-" + String(repeating: "0", count: 16 - digits.count) + digits
    }

    private func path(of name: String) -> FilePath {
        folder.appending(name + Self.suffix)
    }

    /// Records an attachment. When it returns, a crash does not lose it.
    func add(_ attachment: Attachment) throws(AttachError) {
        let record = PermanentRecord(attachment, mountPoint: mountPoint)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        do {
            let bytes = Array(try encoder.encode(record))
            try change.withLock { _ in
                _ = try openFolders(makingThem: true)
                try AtomicFile.write(bytes, to: path(of: record.name))
            }
        } catch let error as PrivateDirectoryError {
            throw refusal(error)
        } catch {
            throw AttachError(.vhdMetadataWriteFailure, "recording it as permanent: \(error)", path: folder.string)
        }
    }

    /// Forgets an attachment. When it returns, a crash does not bring it back.
    func remove(_ name: AttachmentName) throws(AttachError) {
        do {
            try change.withLock { (_) throws(Errno) in
                try AtomicFile.remove(path(of: name.text))
                // Fails as long as others are recorded.
                try? folder.removeDirectory()
            }
        } catch .noSuchFileOrDirectory {
            // Somebody has tidied up by hand: what was to be done is done.
        } catch {
            throw AttachError(.vhdMetadataWriteFailure, "forgetting its record: \(error)", path: folder.string)
        }
    }

    /// Everything that is recorded, by name, and what can't be read of it.
    ///
    /// - Returns: `unreadable`, the reason when the folder itself can't be read.
    func records() -> (records: [PermanentRecord], problems: [DormantAttachment], unreadable: String?) {
        var records: [PermanentRecord] = []
        var problems: [DormantAttachment] = []
        let names: [String]
        do {
            names = try openFolders(makingThem: false).entries()
        } catch PrivateDirectoryError.failed(.noSuchFileOrDirectory) {
            return ([], [], nil)
        } catch {
            return ([], [], "\(error)")
        }
        // What begins with a dot is a write that a crash has cut short.
        for file in names.sorted() where file.hasSuffix(Self.suffix) && !file.hasPrefix(".") {
            guard let name = AttachmentName(String(file.dropLast(Self.suffix.count))) else { continue }
            do throws(AttachError) {
                records.append(try record(name))
            } catch {
                problems.append(DormantAttachment(name: name, user: nil, error: error))
            }
        }
        return (records, problems, nil)
    }

    private func record(_ name: AttachmentName) throws(AttachError) -> PermanentRecord {
        let path = path(of: name.text)
        let record: PermanentRecord
        do {
            let bytes = try path.privateContents(limit: Self.sizeLimit)
            record = try JSONDecoder().decode(PermanentRecord.self, from: Data(bytes))
        } catch let error as PrivateFileError {
            throw AttachError(.accessDenied, "this record of a permanent attachment \(error.text)", path: path.string)
        } catch {
            throw AttachError(
                .fileCorrupt,
                "this record of a permanent attachment can't be read: \(error)",
                path: path.string
            )
        }
        guard record.version == 1, record.name == name.text, record.mountPoint == mountPoint.string else {
            throw AttachError(
                .fileCorrupt,
                "this record is of version \(record.version), for \(record.name) at \(record.mountPoint)",
                path: path.string
            )
        }
        return record
    }
}

extension PrivateDirectoryError {
    /// What is wrong, as the rest of a sentence about the directory.
    fileprivate var text: String {
        switch self {
        case .symbolicLink: "is a symbolic link"
        case .notDirectory: "is no directory"
        case .ownedBy(let user): "belongs to user \(user)"
        case .permissions(let bits): "has the permissions 0\(String(bits, radix: 8)), not 0700"
        case .failed(let errno): "can't be made or opened: \(errno.description)"
        }
    }
}

extension PrivateFileError {
    /// What is wrong, as the rest of a sentence about a record.
    fileprivate var text: String {
        switch self {
        case .notRegular: "is a link, or no regular file, and not followed"
        case .ownedBy(let user): "belongs to user \(user), and is not believed"
        case .permissions(let bits): "has the permissions 0\(String(bits, radix: 8)), not 0600, and is not believed"
        case .links(let count): "has \(count) names, and is not believed"
        case .failed(let errno): "can't be read: \(errno.description)"
        }
    }
}
