internal import ControlLanguage
internal import Logging
public import Platform
internal import SystemPackage

extension AttachmentTable {
    /// How long a start waits for images that hang; after that they are attached when they answer.
    private static let patience = Duration.seconds(10)

    /// Takes the names of all permanent attachments that are recorded here: before the first request can come.
    public func reservePermanent() {
        guard case .success(let journal) = configuration.journal, !state.withLock({ $0.hasReadJournal }) else { return }
        let (records, problems, unreadable) = journal.records()
        if let unreadable {
            log.error("the records of permanent attachments can't be read, none is attached: \(unreadable)")
        }
        state.withLock { state in
            state.hasReadJournal = true
            for record in records where AttachmentName(record.name) != nil { state.pending.append(record) }
            for problem in problems { state.dormant[problem.name] = problem }
            for record in state.pending {
                if let name = AttachmentName(record.name) { state.reserved.insert(name) }
            }
        }
        for problem in problems { log.error("\(problem.name): \(problem.error)") }
    }

    /// Attaches again what was attached permanently here, each with the rights of the user who asked, side by side.
    ///
    /// What can't be attached stays recorded, and is listed until someone detaches it by its name.
    public func restorePermanent(cancellation: Cancellation? = nil) {
        reservePermanent()
        let records = state.withLock { state in
            defer { state.pending = [] }
            return state.pending
        }
        let running = Monitor(records.count)
        for record in records {
            let restore: @Sendable () -> Void = { [self] in
                self.restore(record, cancellation)
                running.update { $0 -= 1 }
            }
            if !startThread("restore", restore) { restore() }
        }
        let isDone: Bool? = running.wait(timeout: Self.patience) { $0 == 0 ? true : nil }
        if isDone == nil { log.error("some permanent attachments are still waiting for their images") }
    }

    private func restore(_ record: PermanentRecord, _ cancellation: Cancellation?) {
        do throws(AttachError) {
            try attach(record, cancellation)
        } catch {
            log.error("\(record.name) could not be attached again: \(error)")
            guard let name = AttachmentName(record.name) else { return }
            state.withLock { state in
                state.reserved.remove(name)
                state.dormant[name] = DormantAttachment(name: name, user: record.user, error: error)
            }
        }
    }

    private func attach(_ record: PermanentRecord, _ cancellation: Cancellation?) throws(AttachError) {
        let request: Request?
        do {
            request = try Request.parse(Array(record.request))
        } catch {
            throw AttachError(.invalidParameter, "its record: \(error.text)")
        }
        guard case .attach(let path, let words)? = request, words.name?.text == record.name else {
            throw AttachError(.invalidParameter, "its record holds no attach request of that name")
        }
        _ = try attach(
            FilePath(bytes: path.bytes),
            words,
            for: record.requester,
            lifetime: .permanent,
            cancellation: cancellation,
            restoring: record
        )
    }
}
