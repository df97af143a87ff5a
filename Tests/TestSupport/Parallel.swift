internal import Platform

/// Runs `body` on `count` threads at once, waits for all, and throws the first error.
public func inParallel(_ count: Int, _ body: @escaping @Sendable (Int) throws -> Void) throws {
    struct Progress {
        var running: Int
        var error: (any Error)?
    }
    let progress = Monitor(Progress(running: count))
    for index in 0..<count {
        let started = startThread("test \(index)") {
            var failure: (any Error)?
            do { try body(index) } catch { failure = error }
            progress.update { state in
                state.running -= 1
                state.error = state.error ?? failure
            }
        }
        if !started {
            progress.update { state in
                state.running -= 1
                state.error = TestSupportError("no thread to be had")
            }
        }
    }
    let error = progress.wait { $0.running == 0 ? Optional($0.error) : nil }
    if let error = error.flatMap({ $0 }) { throw error }
}
