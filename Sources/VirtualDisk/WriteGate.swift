internal import BlockDevice
internal import Platform
internal import Synchronization

/// Stands before the first write of an attachment, and asks once whether that may be done. What was answered holds until the detach.
///
/// It is asked at the first write and not at the attach: an attach is to be cheap, and may be meant for looking only.
final class WriteGate: Sendable {
    private let isOpen: Atomic<Bool>
    private let question: (@Sendable () -> DiskError?)?
    /// Held while the question is asked; the answer has a lock of its own, so that `info` need not wait for it.
    private let asking = Locked(())
    private let answer = Locked<Result<Void, DiskError>?>(nil)
    private let wasTold = Atomic(false)

    /// - Parameter question: why writing would do harm, or nil. It may take a while: it looks at files. nil: there is nothing to ask.
    init(_ question: (@Sendable () -> DiskError?)? = nil) {
        self.question = question
        isOpen = Atomic(question == nil)
    }

    /// Lets a write pass, or throws what was found. Writers that come while the question is asked wait for the answer.
    func pass() throws(DiskError) {
        if isOpen.load(ordering: .acquiring) { return }
        try asking.withLock { (_) throws(DiskError) in
            let found = answer.withLock { $0 } ?? ask()
            answer.withLock { $0 = found }
            try found.get()
        }
        isOpen.store(true, ordering: .releasing)
    }

    private func ask() -> Result<Void, DiskError> {
        question?().map { .failure($0) } ?? .success(())
    }

    /// Why writes are refused, once it is known.
    var refusal: DiskError? {
        answer.withLock { answer in
            if case .failure(let error) = answer { return error }
            return nil
        }
    }

    /// True the first time: a program that goes on writing is not to fill the log.
    func takeNews() -> Bool {
        !wasTold.exchange(true, ordering: .acquiringAndReleasing)
    }
}
