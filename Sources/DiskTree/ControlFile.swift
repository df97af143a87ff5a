internal import ByteIO
internal import ControlLanguage
internal import FileSystem
internal import Platform
internal import SystemPackage
internal import VirtualDisk

/// An open `ctl` that can be written to: one handle in the sense of AttachVirtualDisk when it can be read too.
final class ControlFile: OpenFile {
    private struct State {
        var lines = LineAssembler()
        /// Answers that have not been read yet.
        var answers: [UInt8] = []
        /// A write of this handle is being carried out; another waits, so that requests keep their order.
        var isBusy = false
        /// The one who wrote last: an unterminated line runs in that name.
        var lastRequester: (requester: Requester, caller: Caller)?
    }

    private let desk: ControlDesk
    private let mode: OpenMode
    private let opener: Caller
    private let handle: UInt64
    private let state = Monitor(State())
    let isSlow = true

    init(_ desk: ControlDesk, mode: OpenMode, opener: Caller) {
        self.desk = desk
        self.mode = mode
        self.opener = opener
        handle = desk.newHandle()
    }

    /// What is attached through it lasts as long as the handle, if there is one: only those who can read the answer hold one.
    private var lifetime: Lifetime { mode.reads ? .handle(handle) : .fileSystem }

    // MARK: Answers

    func read(into buffer: inout MutableRawSpan, at offset: UInt64, caller: Caller) -> Int {
        let count = buffer.byteCount
        let part = state.update { state in
            let part = Array(state.answers.prefix(count))
            setAnswers(state.answers.dropFirst(part.count), &state)
            return part
        }
        part.withBytes { buffer.copy($0, to: 0) }
        return part.count
    }

    private func answer(_ lines: [[UInt8]]) {
        guard mode.reads else { return }
        state.update { state in
            let answers = state.answers + lines.flatMap { $0 + [UInt8(ascii: "\n")] }
            let surplus = answers.count - desk.budget.limit(for: opener.user)
            guard surplus > 0 else { return setAnswers(answers[...], &state) }
            // Cut at a line's end: half an answer could be taken for a whole one.
            let end = answers[surplus...].firstIndex(of: UInt8(ascii: "\n")).map { $0 + 1 }
            setAnswers(answers[(end ?? answers.count)...], &state)
        }
    }

    /// Keeps these, in no more memory than they need.
    private func setAnswers(_ answers: ArraySlice<UInt8>, _ state: inout State) {
        desk.budget.change(opener.user, by: answers.count - state.answers.count)
        state.answers = Array(answers)
    }

    // MARK: Requests

    func write(
        _ bytes: RawSpan,
        at offset: UInt64,
        origin: WriteOrigin,
        caller: Caller,
        interruption: Interruption
    ) throws(Errno) -> Int {
        // Whoever has opened it could otherwise have a set-uid program write requests into it, with that program's rights.
        guard caller.user == opener.user, caller.group == opener.group else { throw .notPermitted }
        let requester = desk.requester(caller)
        let input = bytes.copied
        try enter(interruption)
        defer { state.update { $0.isBusy = false } }

        let lines = state.update { state in
            state.lastRequester = (requester, caller)
            return state.lines.append(input)
        }
        do {
            for line in lines { try run(line, for: requester, caller, interruption) }
        } catch {
            state.update { $0.lines.discardRemainder() }
            answer([error.response.line])
            throw error.error.errno
        }
        return bytes.byteCount
    }

    private func run(
        _ line: LineAssembler.Line,
        for requester: Requester,
        _ caller: Caller,
        _ interruption: Interruption
    ) throws(AttachError) {
        switch line {
        case .complete(let bytes):
            if let lines = try desk.run(bytes, for: requester, caller, lifetime: lifetime, interruption: interruption) {
                answer(lines)
            }
        case .overlong:
            let error = AttachError(.invalidParameter, "a request may have \(LineAssembler.maximumLength) bytes")
            throw desk.refuse(error, for: requester)
        }
    }

    private func enter(_ interruption: Interruption) throws(Errno) {
        interruption.observe { [state] in state.update { _ in } }
        defer { interruption.observe(nil) }
        let hasEntered = state.wait { state -> Bool? in
            if state.isBusy { return interruption.isRaised ? false : nil }
            state.isBusy = true
            return true
        }
        guard hasEntered == true else { throw .interrupted }
    }

    func release() {
        if !mode.reads { runRemainder() }
        state.update { setAnswers([], &$0) }
        desk.endHandle(handle)
    }

    /// A line without a newline runs at the last close: earlier, other holders of the file might still be adding to it.
    private func runRemainder() {
        let (line, last) = state.update { ($0.lines.takeRemainder(), $0.lastRequester) }
        guard let line, let last else { return }
        _ = try? run(.complete(line), for: last.requester, last.caller, Interruption())
    }

    func synchronize() {}
    func flush() {
        desk.didClose(handle)
    }

    func seek(_ what: SeekTarget, from offset: UInt64) throws(Errno) -> UInt64 {
        throw .illegalSeek
    }

    func allocate(_ request: AllocationRequest, at offset: UInt64, count: UInt64) throws(Errno) {
        throw .notSupported
    }
}
