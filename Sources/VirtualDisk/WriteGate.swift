internal import BlockDevice
internal import Platform
internal import Synchronization

/// Stands before the first write of an attachment, and asks once whether that may be done. What was answered holds until the detach.
///
/// It is asked at the first write and not at the attach: an attach is to be cheap, and may be meant for looking only.
///
/// The question is asked on a thread of its own, which may meet slow or dead file servers: a writer waits a while for the answer, and is
/// refused until it has come.
final class WriteGate: Sendable {
    /// What has been found out.
    enum Finding: Sendable {
        case harmless
        case harmful(DiskError)
        /// It could not be found out this time: the write is refused, and the next one asks again.
        case unknown(DiskError)
    }

    private struct State: Sendable {
        var answer: Result<Void, DiskError>?
        /// When writers wait no longer; nil while nobody is asking.
        var deadline: ContinuousClock.Instant?
        /// Counts the questions that got no answer.
        var failures = 0
        /// Why writes are refused although there is no answer yet.
        var excuse: DiskError?
        var search: Cancellation?
        var isOver = false
    }

    private let patience: Duration

    private let isOpen: Atomic<Bool>
    private let question: (@Sendable (Cancellation?) -> Finding)?
    private let state = Monitor(State())
    private let wasTold = Atomic(false)

    /// - Parameter question: whether writing would do harm. It may take a while: it looks at files. nil: there is nothing to ask.
    init(patience: Duration = .seconds(10), _ question: (@Sendable (Cancellation?) -> Finding)? = nil) {
        self.patience = patience
        self.question = question
        isOpen = Atomic(question == nil)
    }

    /// Lets a write pass, or throws what was found. Writers that come while the question is asked wait for the answer.
    func pass() throws(DiskError) {
        if isOpen.load(ordering: .acquiring) { return }
        let (deadline, failures, mustAsk) = state.update { state in
            let mustAsk = state.deadline == nil
            let deadline = state.deadline ?? .now + patience
            state.deadline = deadline
            return (deadline, state.failures, mustAsk)
        }
        if mustAsk, !startThread("child-search", ask) { ask() }
        let answer: Result<Void, DiskError>? = state.wait(timeout: max(.zero, deadline - .now)) { state in
            if let answer = state.answer { return answer }
            return state.failures > failures ? state.excuse.map { .failure($0) } : nil
        }
        guard let answer else { throw tooLate() }
        try answer.get()
        isOpen.store(true, ordering: .releasing)
    }

    private func tooLate() -> DiskError {
        let error = DiskError(
            .hasChildren,
            "it takes long to find out whether images in its folder have it as their parent, and until then nothing is written; "
                + "try again later, or attach it with break-children if there are none"
        )
        state.update { state in
            if state.answer == nil { state.excuse = error }
        }
        return error
    }

    private func ask() {
        let search = try? Cancellation()
        let isOver = state.update { state in
            state.search = search
            return state.isOver
        }
        if isOver { search?.cancel() }
        let finding = question?(search) ?? .harmless
        state.update { state in
            state.search = nil
            // What is known now is news, whatever was told before; and it is so before a writer can hear and tell it.
            wasTold.store(false, ordering: .releasing)
            switch finding {
            case .harmless:
                (state.answer, state.excuse) = (.success(()), nil)
            case .harmful(let error):
                state.answer = .failure(error)
            case .unknown(let error):
                state.excuse = error
                state.failures += 1
                state.deadline = nil
            }
        }
    }

    /// The attachment has ended: nobody waits for the answer.
    func end() {
        let search = state.update { state in
            state.isOver = true
            return state.search
        }
        search?.cancel()
    }

    /// Why writes are refused, as far as it is known.
    var refusal: DiskError? {
        state.update { state in
            if case .failure(let error) = state.answer { return error }
            return state.excuse
        }
    }

    /// True the first time: a program that goes on writing is not to fill the log.
    func takeNews() -> Bool {
        !wasTold.exchange(true, ordering: .acquiringAndReleasing)
    }
}
