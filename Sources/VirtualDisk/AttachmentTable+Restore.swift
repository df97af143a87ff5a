internal import ControlLanguage
internal import Logging
internal import Platform
internal import SystemPackage

extension AttachmentTable {
    /// Attaches again what was attached permanently here, each with the rights of the user who asked.
    ///
    /// What can't be attached stays recorded, and is listed until someone detaches it by its name.
    public func restorePermanent() {
        guard case .success(let journal) = configuration.journal else { return }
        let (records, problems) = journal.records()
        for problem in problems { log.error("a record of a permanent attachment can't be read: \(problem)") }
        for record in records {
            do {
                try restore(record)
            } catch {
                log.error("\(record.name) could not be attached again: \(error)")
                guard let name = AttachmentName(record.name) else { continue }
                state.withLock { $0.dormant[name] = DormantAttachment(record: record, error: error) }
            }
        }
    }

    private func restore(_ record: PermanentRecord) throws(AttachError) {
        let request: Request?
        do {
            request = try Request.parse(Array(record.request))
        } catch {
            throw AttachError(.invalidParameter, "its record: \(error.text)")
        }
        guard case .attach(let path, let words)? = request else {
            throw AttachError(.invalidParameter, "its record holds no attach request")
        }
        _ = try attach(
            FilePath(bytes: path.bytes),
            words,
            for: record.requester,
            lifetime: .permanent,
            restoring: record
        )
    }
}
