internal import BlockDevice
public import ControlLanguage
internal import Glibc
internal import Logging
public import Platform
public import SystemPackage

extension AttachmentTable {
    /// Attaches an image: AttachVirtualDisk.
    ///
    /// - Parameters:
    ///   - path: the image file, absolute or relative to the requester's working directory.
    ///   - words: the rest of the request.
    ///   - lifetime: what the attachment is tied to when the request does not say `permanent`.
    ///   - cancellation: raised when the requester waits no longer; then nothing stays attached.
    public func attach(
        _ path: FilePath,
        _ words: AttachWords,
        for requester: Requester,
        lifetime: Lifetime,
        cancellation: Cancellation? = nil
    ) throws(AttachError) -> Attachment {
        try attach(path, words, for: requester, lifetime: lifetime, cancellation: cancellation, restoring: nil)
    }

    /// - Parameter record: what is recorded of it, when it is a permanent attachment that is made again.
    func attach(
        _ path: FilePath,
        _ words: AttachWords,
        for requester: Requester,
        lifetime: Lifetime,
        cancellation: Cancellation? = nil,
        restoring record: PermanentRecord?
    ) throws(AttachError) -> Attachment {
        try configuration.policy.check(requester.credentials)
        let flags = try checkedFlags(words)
        let path = try requester.absolute(path)
        let words = try words.withAbsoluteParents(for: requester)
        let isPermanent = flags.contains(.permanentLifetime)
        let journal = isPermanent && record == nil ? try requireJournal() : nil

        let name = try reserve(words.name, path, isOurs: record != nil)
        do throws(AttachError) {
            let attachment = try open(
                path,
                words,
                flags,
                name,
                requester,
                isPermanent ? .permanent : lifetime,
                cancellation
            )
            do throws(AttachError) {
                try checkIdentity(attachment, record)
                try journal?.add(attachment)
                try insert(attachment, cancellation)
            } catch {
                attachment.end(.ended)
                if let journal { try? journal.remove(attachment.name) }
                throw error
            }
            log.info("attached \(attachment.imagePath) as \(name)")
            return attachment
        } catch {
            // In this order: claims are made in a name that nobody else may have meanwhile. A record keeps its name.
            claims.release(name.text)
            if record == nil { _ = state.withLock { $0.reserved.remove(name) } }
            throw error
        }
    }

    private func open(
        _ path: FilePath,
        _ words: AttachWords,
        _ flags: AttachFlags,
        _ name: AttachmentName,
        _ requester: Requester,
        _ lifetime: Lifetime,
        _ cancellation: Cancellation?
    ) throws(AttachError) -> Attachment {
        let files = ImageOpening(
            opener: configuration.opener,
            requester: requester,
            words: words,
            cancellation: cancellation,
            fileLayer: configuration.fileLayer
        )
        defer { configuration.opener.rest() }
        let isReadOnly = flags.contains(.readOnly)
        let disk = try ChainOpening(files: files, claims: claims, holder: name.text, isReadOnly: isReadOnly).open(path)
        do throws(AttachError) {
            if disk.kind == .iso, flags.contains(.noLocalHost) {
                throw AttachError(.notSupported, "an ISO image can't be attached with no-local-host", path: path.string)
            }
            let access = try DiskAccess.decide(
                words.access,
                flags,
                image: disk.leaf.status,
                requester: requester,
                mountingUser: configuration.policy.mountingUser
            )
            let number = state.withLock { state in
                state.lastNumber += 1
                return state.lastNumber
            }
            return Attachment(
                number: number,
                name: name,
                flags: flags,
                lifetime: lifetime,
                requester: requester,
                attachedAt: Int64(time(nil)),
                access: access,
                disk: disk,
                words: words,
                requestedPath: path
            )
        } catch {
            for lock in disk.locks { lock.release() }
            throw error
        }
    }

    private func checkIdentity(_ attachment: Attachment, _ record: PermanentRecord?) throws(AttachError) {
        guard let record, record.identity != attachment.identity else { return }
        throw AttachError(
            .vhdInvalidState,
            "this is another image (\(attachment.identity)) than the one that was attached permanently (\(record.identity))",
            path: attachment.imagePath.string
        )
    }

    private func checkedFlags(_ words: AttachWords) throws(AttachError) -> AttachFlags {
        let flags = AttachFlags(rawValue: words.flags)
        guard flags.isValid else {
            let unknown = String(words.flags & ~AttachFlags.valid.rawValue, radix: 16, uppercase: true)
            throw AttachError(.invalidParameter, "flags 0x\(unknown) are not known; the highest is 0x20")
        }
        guard words.version == 1 else {
            throw AttachError(.invalidParameter, "version=\(words.version) is not known; only 1 is")
        }
        guard words.providerFlags == 0 else {
            throw AttachError(.invalidParameter, "provider-flags must be 0: no provider has any")
        }
        guard !configuration.isReadOnly || flags.contains(.readOnly) else {
            throw AttachError(.writeProtect, "this file system was mounted read-only; attach with readonly")
        }
        return flags
    }

    private func requireJournal() throws(AttachError) -> PermanentJournal {
        switch configuration.journal {
        case .success(let journal): return journal
        case .failure(let error): throw error
        }
    }

    /// How long an attach waits for the end of a disk of the same name.
    private static let endDelay = Duration.seconds(1)

    private func reserve(
        _ wanted: AttachmentName?,
        _ path: FilePath,
        isOurs: Bool
    ) throws(AttachError) -> AttachmentName {
        let fileName = path.lastComponent.map { FilePath(root: nil, components: $0).bytes } ?? []
        let derived = AttachmentName.derived(fromFileName: fileName)
        if wanted == nil {
            // Who attaches a file again at once is not to find it under another name because its last end takes a moment.
            let _: Bool? = endsRunning.wait(timeout: Self.endDelay) { _ in
                state.withLock { $0.ending.contains(derived) } ? nil : true
            }
        }
        return try state.withLock { (state) throws(AttachError) in
            guard !state.isClosed else { throw AttachError(.operationAborted, "the file system is being unmounted") }
            // The names of records have been reserved at the start.
            if let wanted, isOurs { return wanted }
            if let wanted, state.isTaken(wanted) {
                throw AttachError(.alreadyExists, "the name \(wanted) is taken", path: path.string)
            }
            let name = wanted ?? derived.unique { state.isTaken($0) }
            state.reserved.insert(name)
            return name
        }
    }

    /// Makes it visible, unless nobody waits for it any more.
    private func insert(_ attachment: Attachment, _ cancellation: Cancellation?) throws(AttachError) {
        try state.withLock { (state) throws(AttachError) in
            guard !state.isClosed, cancellation?.isCancelled != true else {
                throw AttachError(.operationAborted, "interrupted", path: attachment.imagePath.string)
            }
            state.reserved.remove(attachment.name)
            state.attachments[attachment.name] = attachment
        }
    }
}

extension AttachWords {
    /// The same with absolute paths in `parent=`: a permanent attachment is made again when there is no working directory to start from.
    fileprivate func withAbsoluteParents(for requester: Requester) throws(AttachError) -> AttachWords {
        var words = self
        for index in parents.indices {
            let path = try requester.absolute(FilePath(bytes: parents[index].bytes))
            guard let word = Word(path.bytes) else {
                throw AttachError(
                    .invalidParameter,
                    "a path of a request can't have a newline in it",
                    path: path.string
                )
            }
            words.parents[index] = word
        }
        return words
    }
}
