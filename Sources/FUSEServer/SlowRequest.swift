internal import FileSystem
internal import Platform
internal import SystemPackage

/// What a slow request comes to.
enum SlowOutcome {
    case done
    case written(Int)
}

extension Server {
    /// Answers a request on a thread of its own, so that the worker goes back to reading.
    ///
    /// A signal to the caller comes as FUSE_INTERRUPT, from another worker, and raises the interruption; the request is answered all the
    /// same, by `body`'s end.
    func runSlowly(
        _ request: Request,
        _ body: @escaping @Sendable (Interruption) throws(Errno) -> SlowOutcome
    ) {
        let interruption = Interruption()
        activity.addSlow(interruption)
        request.connect(interruption)
        let run: @Sendable () -> Void = { [self] in
            do throws(Errno) {
                let outcome = try body(interruption)
                request.connect(nil)
                switch outcome {
                case .done: request.succeed()
                case .written(let count): request.reply(written: count)
                }
            } catch {
                request.connect(nil)
                request.fail(error)
            }
            if activity.removeSlow(interruption) { end() }
        }
        // Without a thread it holds up this worker, and the pool has others.
        if !startThread("fuse-slow", run) { run() }
    }
}
