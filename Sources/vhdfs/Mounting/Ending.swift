internal import FUSEServer
internal import Glibc
internal import Logging
internal import Platform
internal import SystemPackage

/// Ends the daemon when a signal asks for it: at the first in good order, at the second at once.
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
    private let mountPoint: FilePath
    private let cancellation: Cancellation
    private let log: Logger
    private let phase = Monitor(Phase.serving)

    /// - Parameter cancellation: raised at the first signal.
    init(_ session: FUSESession, at mountPoint: FilePath, cancellation: Cancellation, log: Logger) {
        self.session = session
        self.mountPoint = mountPoint
        self.cancellation = cancellation
        self.log = log
    }

    /// Waits for signals on a thread of its own. They must be blocked already. False when the host can't give a thread.
    func watch() -> Bool {
        startThread("signals") { [self] in
            let first = Self.signals.wait()
            log.notice("signal \(first): unmounting")
            phase.update { $0 = .stopping }
            cancellation.cancel()
            startThread("stop") { [self] in
                session.stop()
                phase.update { if $0 == .stopping { $0 = .stopped } }
            }
            let second = Self.signals.wait()
            phase.update { $0 = .givenUp }
            log.error("signal \(second): giving up what is not written yet")
            // No dead mount is left behind, where that can be helped.
            try? unmount(mountPoint, lazily: true)
            _exit(Program.Status.failure)
        }
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
