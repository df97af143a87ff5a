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
    private struct State: Sendable {
        var answer: Result<Void, DiskError>?
        /// When writers wait no longer; nil before the first write.
        var deadline: ContinuousClock.Instant?
    }

    private let patience: Duration

    private let isOpen: Atomic<Bool>
    private let question: (@Sendable () -> DiskError?)?
    private let state = Monitor(State())
    private let wasTold = Atomic(false)

    /// - Parameter question: why writing would do harm, or nil. It may take a while: it looks at files. nil: there is nothing to ask.
    init(patience: Duration = .seconds(10), _ question: (@Sendable () -> DiskError?)? = nil) {
        self.patience = patience
        self.question = question
        isOpen = Atomic(question == nil)
    }

    /// Lets a write pass, or throws what was found. Writers that come while the question is asked wait for the answer.
    func pass() throws(DiskError) {
        if isOpen.load(ordering: .acquiring) { return }
        let (deadline, isFirst) = state.update { state in
            let isFirst = state.deadline == nil
            let deadline = state.deadline ?? .now + patience
            state.deadline = deadline
            return (deadline, isFirst)
        }
        if isFirst, !startThread("child-search", ask) { ask() }
        guard let answer = state.wait(timeout: max(.zero, deadline - .now), until: { $0.answer }) else {
            throw DiskError(
                .hasChildren,
                "it takes long to find out whether images in its folder have it as their parent, and until then nothing is written; "
                    + "try again later, or attach it with break-children if there are none"
            )
        }
        try answer.get()
        isOpen.store(true, ordering: .releasing)
    }

    private func ask() {
        let answer = question?().map { Result<Void, DiskError>.failure($0) } ?? .success(())
        state.update { $0.answer = answer }
    }

    /// Why writes are refused, once it is known.
    var refusal: DiskError? {
        state.update { state in
            if case .failure(let error) = state.answer { return error }
            return nil
        }
    }

    /// True the first time: a program that goes on writing is not to fill the log.
    func takeNews() -> Bool {
        !wasTold.exchange(true, ordering: .acquiringAndReleasing)
    }
}
