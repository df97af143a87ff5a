internal import BlockDevice
public import ControlLanguage
internal import Logging
internal import Platform
internal import SystemPackage

extension AttachmentTable {
    /// How long a detach waits for closes that the kernel has not told us about yet.
    private static let closeDelay = Duration.seconds(1)

    /// Detaches a disk: DetachVirtualDisk. When it returns, the image is durable, closed and unlocked.
    ///
    /// - Parameter force: end it with files open too; what is in flight is flushed first, later input and output gives ENXIO.
    /// - Returns: the name of what was detached.
    public func detach(_ target: Word, force: Bool, for requester: Requester) throws(AttachError) -> AttachmentName {
        try configuration.policy.check(requester.credentials)
        if let name = try dropDormant(target) { return name }
        let attachment = try find(target, for: requester)
        do throws(AttachError) {
            try countingEnd { () throws(AttachError) in
                try begin(attachment, force: force)
                do throws(AttachError) {
                    try complete(attachment)
                } catch {
                    guard force else {
                        attachment.cancelEnd()
                        throw error
                    }
                    log.error("\(attachment.name): \(error)")
                }
                try forget(attachment, force: force)
                if attachment.loss != nil {
                    log.warning(
                        "\(attachment.name): \(attachment.imagePath) had been deleted or replaced; the disk is gone"
                    )
                }
                // Closing files asks the host once more.
                _ = runPatiently("end", limit: configuration.patience) { attachment.end(.ended) }
                // Before another may have the name: the kernel would look for that one's files in this one's folder.
                tellEnd(of: attachment, isForced: force)
                release(attachment.name)
            }
        } catch {
            throw AttachError(error.error, error.text, path: name(of: attachment, for: requester))
        }
        log.info("detached \(attachment.name)")
        return attachment.name
    }

    /// What an answer calls a disk: by its path only for those who may know it.
    private func name(of attachment: Attachment, for requester: Requester) -> String {
        mayKnow(attachment, user: requester.credentials.user) ? attachment.imagePath.string : attachment.name.text
    }

    private func complete(_ attachment: Attachment) throws(AttachError) {
        // As long as a sync of a program's.
        let outcome = runPatiently("detach", limit: configuration.patience.map { $0 * 5 }) {
            Result { () throws(DiskError) in try attachment.complete() }
        }
        switch outcome {
        case .success: break
        case .failure(let error):
            throw AttachError(
                .vhdMetadataWriteFailure,
                "its last writes could not be made durable, so it stays attached: \(error.text); "
                    + "detach NAME force gives them up"
            )
        case nil:
            throw AttachError(
                .timeout,
                "the host does not answer, so its last writes may not be durable and it stays attached; "
                    + "detach NAME force gives them up"
            )
        }
    }

    /// Makes an attachment invisible, and drops its record if it is permanent: while the name is taken, so that it is not another's.
    private func forget(_ attachment: Attachment, force: Bool) throws(AttachError) {
        guard take(attachment) else {
            // Someone else has detached it meanwhile.
            throw AttachError(.notFound, "not attached")
        }
        do throws(AttachError) {
            try dropRecord(of: attachment)
        } catch {
            guard force else {
                attachment.cancelEnd()
                putBack(attachment)
                throw error
            }
            log.error("\(attachment.name): \(error)")
        }
    }

    private func dropRecord(of attachment: Attachment) throws(AttachError) {
        guard attachment.lifetime == .permanent, case .success(let journal) = configuration.journal else { return }
        try journal.remove(attachment.name)
    }

    private func begin(_ attachment: Attachment, force: Bool) throws(AttachError) {
        if !force {
            let _: Bool? = attachment.activity.wait(timeout: Self.closeDelay) { $0.openFiles == 0 ? true : nil }
        }
        switch attachment.beginEnd(unlessOpen: !force) {
        case .begun:
            if !attachment.waitForWrites() {
                log.error("\(attachment.name): writes to it have been running for 10 seconds; it ends without them")
            }
        case .isOver:
            throw AttachError(.notFound, "not attached")
        case .isOpen where !attachment.left.isEmpty:
            throw AttachError(
                .timeout,
                "\(LeftRequests.text); it stays attached, and detach NAME force ends it all the same"
            )
        case .isOpen:
            let folders = ["attached", "mounts"].map {
                configuration.mountPoint.pushing(FilePath($0)).appending(attachment.name.text)
            }
            let holders = (FileHolders.holding(below: folders).map(\.text) + LoopDevices.backed(by: folders))
                .joined(separator: ", ")
            throw AttachError(
                .sharingViolation,
                "files of it are open" + (holders.isEmpty ? "" : ": \(holders)")
                    + "; detach NAME force ends it all the same"
            )
        }
    }

    /// Makes an attachment invisible; false if it already was. Its name stays taken until its claims on files are given up, which
    /// are made in its name.
    private func take(_ attachment: Attachment) -> Bool {
        state.withLock { state in
            guard state.attachments[attachment.name] === attachment else { return false }
            state.attachments[attachment.name] = nil
            state.reserved.insert(attachment.name)
            state.ending.insert(attachment.name)
            return true
        }
    }

    private func putBack(_ attachment: Attachment) {
        state.withLock { state in
            state.reserved.remove(attachment.name)
            state.ending.remove(attachment.name)
            state.attachments[attachment.name] = attachment
        }
    }

    /// Before the locks go: who attaches the file in between finds it busy, and does not get another name for it.
    private func release(_ name: AttachmentName) {
        claims.release(name.text)
        state.withLock { state in
            state.reserved.remove(name)
            state.ending.remove(name)
        }
    }

    private func dropDormant(_ target: Word) throws(AttachError) -> AttachmentName? {
        guard let name = AttachmentName(target.text), state.withLock({ $0.dormant[name] }) != nil else { return nil }
        if case .success(let journal) = configuration.journal { try journal.remove(name) }
        state.withLock { $0.dormant[name] = nil }
        return name
    }

    // MARK: Implicit ends

    /// Takes back an attach whose requester has stopped waiting.
    public func withdraw(_ attachment: Attachment) {
        do {
            try dropRecord(of: attachment)
        } catch {
            log.error("\(attachment.name): \(error)")
        }
        endImplicitly(attachment)
    }

    /// The handle has been closed for the last time: what was tied to it ends. Files that are open can be read to their end.
    public func endHandle(_ handle: UInt64) {
        for attachment in attachments where attachment.lifetime == .handle(handle) { endImplicitly(attachment) }
    }

    /// The file system is going: everything is flushed and closed, ends that are under way too; records of permanent attachments stay.
    ///
    /// Side by side, so that an image that hangs keeps no other from being complete; after half a minute it is left as it is.
    ///
    /// - Returns: what could not be made durable.
    @discardableResult
    public func endAll() -> [AttachError] {
        state.withLock { $0.isClosed = true }
        let failures = Locked<[AttachError]>([])
        for attachment in attachments {
            endsRunning.update { $0 += 1 }
            let end: @Sendable () -> Void = { [self] in
                if let failure = endImplicitly(attachment) { failures.withLock { $0.append(failure) } }
                endsRunning.update { $0 -= 1 }
            }
            if !startThread("end", end) { end() }
        }
        let isDone: Bool? = endsRunning.wait(timeout: Self.endPatience) { $0 == 0 ? true : nil }
        let late = isDone == nil ? attachments.map { Self.hanging($0) } : []
        for failure in late { log.error("\(failure)") }
        return failures.withLock { $0 } + late
    }

    private static let endPatience = Duration.seconds(30)

    private static func hanging(_ attachment: Attachment) -> AttachError {
        AttachError(
            .vhdMetadataWriteFailure,
            "its file does not answer, so its last writes may be lost",
            path: attachment.imagePath.string
        )
    }

    private func countingEnd<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        endsRunning.update { $0 += 1 }
        defer { endsRunning.update { $0 -= 1 } }
        return try body()
    }

    @discardableResult
    private func endImplicitly(_ attachment: Attachment) -> AttachError? {
        countingEnd { () -> AttachError? in
            guard case .begun = attachment.beginEnd(unlessOpen: false) else { return nil }
            // Its name goes at once.
            guard take(attachment) else { return nil }
            var failure: AttachError?
            if !attachment.waitForWrites() {
                log.error("\(attachment.name): writes to it have been running for 10 seconds; it ends without them")
            }
            do throws(DiskError) {
                try attachment.complete()
            } catch {
                log.error("\(attachment.name): its last writes could not be made durable: \(error)")
                failure = AttachError(
                    .vhdMetadataWriteFailure,
                    "its last writes could not be made durable: \(error.text)",
                    path: attachment.imagePath.string
                )
            }
            attachment.end(.lingering)
            tellEnd(of: attachment, isForced: false)
            release(attachment.name)
            log.info("\(attachment.name) has ended")
            return failure
        }
    }
}
