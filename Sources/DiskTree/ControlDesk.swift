internal import ControlLanguage
internal import FileSystem
internal import Glibc
internal import Logging
internal import Platform
internal import SystemPackage
internal import VirtualDisk

/// Where requests are carried out: one for the whole tree. Requests of different handles run side by side.
final class ControlDesk: Sendable {
    private let table: AttachmentTable
    private let log: Logger
    private let failures = FailureLog()
    let budget = AnswerBudget()
    private let closing = ClosingHandles()
    private let lastHandle = Locked<UInt64>(0)

    init(_ table: AttachmentTable, log: Logger) {
        self.table = table
        self.log = log
    }

    /// A number for one more open file of `ctl`.
    func newHandle() -> UInt64 {
        lastHandle.withLock { number in
            number += 1
            return number
        }
    }

    /// The handle is gone: so is what was tied to it.
    func endHandle(_ handle: UInt64) {
        table.endHandle(handle)
        closing.forget(handle)
    }

    /// A copy of the handle has been closed; it may have been the last.
    func didClose(_ handle: UInt64) {
        if table.attachments.contains(where: { $0.lifetime == .handle(handle) }) { closing.didClose(handle) }
    }

    /// Who writes, as far as it can be known while the writer waits.
    func requester(_ caller: Caller) -> Requester {
        let known = try? Credentials.ofThread(caller.thread)
        // FUSE's ids were taken when the request was made; a thread id may since belong to someone else.
        let credentials =
            known.flatMap { $0.user == caller.user && $0.group == caller.group ? $0 : nil }
            ?? Credentials(user: caller.user, group: caller.group)
        // A user's daemon may not look at root's processes; but root needs no lent eyes.
        let sharesOurView = CallerContext.sharesOurView(thread: caller.thread) ?? (caller.user == 0 && geteuid() != 0)
        return Requester(credentials: credentials, seesOtherFiles: !sharesOurView)
    }

    /// Adds the caller's working directory if the request needs it.
    private func locating(
        _ requester: Requester,
        _ request: Request,
        _ caller: Caller,
        _ interruption: Interruption
    ) throws(AttachError) -> Requester {
        guard request.hasRelativePath else { return requester }
        var located = requester
        located.workingDirectory = try LocatingJob(thread: caller.thread, limit: table.configuration.patience)
            .run(interruption)
        return located
    }

    // MARK: Carrying out

    /// Carries out one line. Nil for an empty one or a comment.
    ///
    /// - Returns: the lines of the answer, the last of which begins with `ok`.
    func run(
        _ line: [UInt8],
        for requester: Requester,
        _ caller: Caller,
        lifetime: Lifetime,
        interruption: Interruption
    ) throws(AttachError) -> [[UInt8]]? {
        do {
            guard let request = try Request.parse(line) else { return nil }
            if case .handle(let handle) = lifetime { closing.forget(handle) }
            let located = try locating(requester, request, caller, interruption)
            return try run(request, for: located, lifetime: lifetime, interruption: interruption)
        } catch let error as RequestError {
            throw note(AttachError(.invalidParameter, error.text), requester)
        } catch let error as AttachError {
            throw note(error, requester)
        } catch {
            throw note(AttachError(.invalidParameter, "\(error)"), requester)
        }
    }

    private func run(
        _ request: Request,
        for requester: Requester,
        lifetime: Lifetime,
        interruption: Interruption
    ) throws(AttachError) -> [[UInt8]] {
        switch request {
        case .attach(let path, let words):
            closing.wait()
            let job = AttachJob(table, FilePath(bytes: path.bytes), words, requester, lifetime)
            let name = try job.run(interruption).name
            let place = table.configuration.mountPoint.appending("attached").appending(name.text)
            return [Response.attached(name: name, path: place.bytes).line]
        case .detach(let target, let force):
            return [Response.detached(name: try table.detach(target, force: force, for: requester)).line]
        case .info(let target):
            let attachment = try table.find(target, for: requester)
            guard table.mayKnow(attachment, user: requester.credentials.user) else {
                throw AttachError(.accessDenied, "it was attached by someone else", path: target.text)
            }
            let lines = attachment.facts.text.split(separator: UInt8(ascii: "\n")).map(Array.init)
            return lines + [Response.informed(name: attachment.name).line]
        case .list:
            return listing(for: requester.credentials.user) + [Response.listed.line]
        case .help:
            return Help.lines.map { Array($0.utf8) } + [Response.explained.line]
        }
    }

    private func note(_ error: AttachError, _ requester: Requester) -> AttachError {
        failures.note(error, user: requester.credentials.user)
        log.notice("request of user \(requester.credentials.user) failed: \(error)")
        return error
    }

    /// Notes a line that could not even be taken.
    func refuse(_ error: AttachError, for requester: Requester) -> AttachError {
        note(error, requester)
    }

    /// Notes that a disk refuses to be written to: who writes sees only an error number.
    func note(_ refusal: AttachError, of attachment: Attachment) {
        failures.note(refusal, user: attachment.requester.credentials.user)
        log.error("\(attachment.name): \(refusal)")
    }

    // MARK: Telling

    private func listing(for user: UInt32) -> [[UInt8]] {
        let attached = table.attachments.map { attachment in
            table.mayKnow(attachment, user: user) ? attachment.requestLine : Array(attachment.name.text.utf8)
        }
        let isManager = user == 0 || user == table.configuration.policy.mountingUser
        let dormant = table.dormant.filter { isManager || $0.user == user }.map { dormant in
            Array("# not attached again: \(dormant.name) \(dormant.error)".utf8)
        }
        return attached + dormant.map { escapingControls($0) }
    }

    /// What a reader of `ctl` sees: the attached disks, the last failures, the help.
    func snapshot(for user: UInt32) -> [UInt8] {
        let isManager = user == 0 || user == table.configuration.policy.mountingUser
        let failed = failures.lines(for: isManager ? nil : user)
        let help = Help.lines.map { $0.isEmpty ? "#" : "# \($0)" }
        let lines = listing(for: user) + failed + help.map { Array($0.utf8) }
        return lines.flatMap { $0 + [UInt8(ascii: "\n")] }
    }
}

extension Attachment {
    /// The name, and the path and words that would attach it so again, quoted as in requests.
    fileprivate var requestLine: [UInt8] {
        let path = Word(imagePath.bytes)
        let words = [Word(name.text), path].compactMap(\.self) + shownWords
        return ShellWords.join(words)
    }
}

extension Request {
    /// Whether a path in it may start at the caller's working directory.
    fileprivate var hasRelativePath: Bool {
        func isRelative(_ word: Word) -> Bool { word.bytes.first != UInt8(ascii: "/") }
        return switch self {
        case .attach(let path, let words): isRelative(path) || words.parents.contains(where: isRelative)
        case .detach(let target, _), .info(let target): isRelative(target)
        case .list, .help: false
        }
    }
}
