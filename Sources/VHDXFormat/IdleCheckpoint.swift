internal import Platform

/// Empties the log of a disk when nothing has been flushed for a while: a process that is killed then leaves an image that every program
/// opens. Its thread lives from a flush to the moment of rest after it.
final class IdleCheckpoint: Sendable {
    private struct State {
        var deadline: ContinuousClock.Instant
        var isRunning = false
    }

    private let delay: Duration
    private let state = Monitor(State(deadline: .now))

    init(delay: Duration) {
        self.delay = delay
    }

    /// A flush has left something in the log of `layer`.
    func schedule(_ layer: VHDXLayer) {
        let mustStart = state.update { state in
            state.deadline = .now + delay
            defer { state.isRunning = true }
            return !state.isRunning
        }
        guard mustStart else { return }
        let hasStarted = startThread("vhdx-checkpoint") { [weak layer] in
            while let pause = self.pause() { let _: Void? = self.state.wait(timeout: pause) { _ in nil } }
            // Whatever fails here fails again, and is told, at the next sync or at the end.
            try? layer?.finish()
        }
        if !hasStarted { state.update { $0.isRunning = false } }
    }

    /// How long to wait still; nil when the time has come.
    private func pause() -> Duration? {
        state.update { state in
            let rest = state.deadline - .now
            guard rest > .zero else {
                state.isRunning = false
                return nil
            }
            return rest
        }
    }
}
