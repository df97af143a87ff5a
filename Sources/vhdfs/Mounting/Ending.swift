internal import FUSEServer
internal import Glibc
internal import Logging
internal import Platform
internal import SystemPackage

/// Ends the daemon when a signal asks for it: at the first in good order, at a second one, a second later or more, at once.
final class Ending: Sendable {
    private enum Phase {
        case serving
        case stopping
        case stopped
        /// A second signal has come: the process ends at any moment.
        case givenUp
    }

    static let signals = SignalSet(SIGTERM, SIGINT, SIGHUP)

    private let session: FUSESession
    private let cancellation: Cancellation
    private let log: Logger
    private let phase = Monitor(Phase.serving)

    /// - Parameter cancellation: raised at the first signal.
    init(_ session: FUSESession, cancellation: Cancellation, log: Logger) {
        self.session = session
        self.cancellation = cancellation
        self.log = log
    }

    /// Waits for signals on a thread of its own. They must be blocked already. False when the host can't give a thread.
    func watch() -> Bool {
        startThread("signals") { [self] in
            let first = Self.signals.wait()
            let deadline = ContinuousClock.now + Self.breath
            phase.update { $0 = .stopping }
            cancellation.cancel()
            let stop: @Sendable () -> Void = { [self] in
                session.stop()
                phase.update { if $0 == .stopping { $0 = .stopped } }
            }
            if !startThread("stop", stop) { stop() }
            // Only now: whoever reads the log may be asleep.
            log.notice("signal \(first): unmounting")
            giveUp(at: Self.secondSignal(after: deadline))
        }
    }

    /// Signals come in pairs: a session manager sends SIGTERM and SIGHUP at once. What comes so soon is no second wish.
    private static let breath = Duration.seconds(1)

    private static func secondSignal(after deadline: ContinuousClock.Instant) -> Int32 {
        while true {
            let signal = signals.wait()
            if signal != SIGHUP, ContinuousClock.now > deadline { return signal }
        }
    }

    private func giveUp(at signal: Int32) -> Never {
        phase.update { $0 = .givenUp }
        // No dead mount is left behind, where that can be helped; it may be another's by now.
        session.detach()
        log.error("signal \(signal): giving up what is not written yet")
        _exit(Program.Status.failure)
    }

    /// Returns when the file system is unmounted, by a signal or by somebody else.
    func wait() {
        session.waitUntilEnded()
        _ = phase.wait { phase -> Bool? in phase == .stopping || phase == .givenUp ? nil : true }
    }

    /// Returns if nothing was given up: then the end is a success.
    func conclude() {
        _ = phase.wait { phase -> Bool? in phase == .givenUp ? nil : true }
    }
}
