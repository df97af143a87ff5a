package import BlockDevice
public import ControlLanguage
public import Logging
public import Platform
public import SystemPackage

/// All attached disks of one file system.
///
/// Lock order: this table's lock is never held while a file is opened, read, written or locked.
public final class AttachmentTable: Sendable {
    /// Told when a disk has been attached or has ended, so that the kernel can be made to forget.
    public protocol Observer: AnyObject, Sendable {
        /// Comes before the answer to the one who asked. `isForced` says that files of it may still be open and mapped.
        func didEnd(_ attachment: Attachment, isForced: Bool)
    }

    struct State: Sendable {
        var attachments: [AttachmentName: Attachment] = [:]
        /// Names of attaches and of ends that are under way.
        var reserved: Set<AttachmentName> = []
        /// Of those, the names of ends.
        var ending: Set<AttachmentName> = []
        /// Records of permanent attachments that are still to be attached again; their names are reserved.
        var pending: [PermanentRecord] = []
        var hasReadJournal = false
        /// Permanent attachments that could not be attached again.
        var dormant: [AttachmentName: DormantAttachment] = [:]
        var lastNumber: UInt64 = 0
        /// No more attaches: the file system is going.
        var isClosed = false

        func isTaken(_ name: AttachmentName) -> Bool {
            attachments[name] != nil || reserved.contains(name) || dormant[name] != nil
        }
    }

    /// What is put between the images and their files: nothing, but in tests, which record there what reaches the host.
    package struct FileLayer: Sendable {
        /// Asked once for each file that an attach opens.
        package let over: @Sendable (PosixFile) -> any HostFile

        /// Makes a layer.
        package init(over: @escaping @Sendable (PosixFile) -> any HostFile) {
            self.over = over
        }

        /// The file as it is.
        package static let none = FileLayer { $0 }
    }

    /// What the table needs to know of its surroundings.
    public struct Configuration: Sendable {
        /// Who may attach and detach.
        public var policy: ManagePolicy
        /// Opens image files.
        public var opener: any FileOpener
        /// Where permanent attachments are recorded; nil when that is impossible, with the reason.
        public var journal: Result<PermanentJournal, AttachError>
        /// Everything is attached read-only (`-o ro`): a request without `readonly` is refused.
        public var isReadOnly: Bool
        /// The mount point, for messages and for finding out who has files open.
        public var mountPoint: FilePath
        /// How long an end may wait for a host that does nothing; nil: for ever.
        public var patience: Duration?
        /// For tests.
        package var fileLayer = FileLayer.none

        /// Makes a configuration.
        public init(
            policy: ManagePolicy,
            opener: any FileOpener,
            journal: Result<PermanentJournal, AttachError>,
            isReadOnly: Bool,
            mountPoint: FilePath,
            patience: Duration? = nil
        ) {
            self.policy = policy
            self.opener = opener
            self.journal = journal
            self.isReadOnly = isReadOnly
            self.mountPoint = mountPoint
            self.patience = patience
        }
    }

    /// The surroundings.
    public let configuration: Configuration
    let state = Locked(State())
    let claims = ImageClaims()
    /// How many ends are under way.
    let endsRunning = Monitor(0)
    let log: Logger
    private let observer = Locked<(any Observer)?>(nil)

    /// Makes an empty table.
    public init(_ configuration: Configuration, log: Logger) {
        self.configuration = configuration
        self.log = log
    }

    /// Sets who is told about ends; once, before the first attach.
    public func setObserver(_ observer: any Observer) {
        self.observer.withLock { $0 = observer }
    }

    func tellEnd(of attachment: Attachment, isForced: Bool) {
        observer.withLock { $0 }?.didEnd(attachment, isForced: isForced)
    }

    // MARK: Looking

    /// The attached disk of that name.
    public func attachment(named name: AttachmentName) -> Attachment? {
        state.withLock { $0.attachments[name] }
    }

    /// All attached disks, by name.
    public var attachments: [Attachment] {
        state.withLock { Array($0.attachments.values) }.sorted { $0.name.text < $1.name.text }
    }

    /// Permanent attachments that could not be attached again, by name.
    public var dormant: [DormantAttachment] {
        state.withLock { Array($0.dormant.values) }.sorted { $0.name.text < $1.name.text }
    }

    /// Whether a user may learn which file is behind an attachment: root, the mounting user, and the one who attached it.
    public func mayKnow(_ attachment: Attachment, user: UInt32) -> Bool {
        user == 0 || user == configuration.policy.mountingUser || user == attachment.requester.credentials.user
    }

    /// Finds an attached disk by its name or by the path of its image. A path finds only what the requester may know of.
    public func find(_ target: Word, for requester: Requester) throws(AttachError) -> Attachment {
        if let name = AttachmentName(target.text), let found = attachment(named: name) { return found }
        if let path = try? requester.absolute(FilePath(bytes: target.bytes)).lexicallyNormalized(),
            let found = attachments.first(where: {
                ($0.imagePath == path || $0.requestedPath.lexicallyNormalized() == path)
                    && mayKnow($0, user: requester.credentials.user)
            })
        {
            return found
        }
        throw AttachError(.notFound, "not attached", path: target.text)
    }
}

/// A permanent attachment that could not be attached again at the last start, or whose record can't be read.
public struct DormantAttachment: Sendable {
    /// Its name, by which it can be detached: then it is forgotten.
    public let name: AttachmentName
    /// Who attached it; nil when the record does not tell.
    public let user: UInt32?
    /// Why it is not attached.
    public let error: AttachError
}
