internal import BlockDevice
internal import Logging
internal import Platform
internal import SystemPackage
internal import VolumeProtocol
internal import Volumes

/// Keeps the child of one volume: starts it when there is something to ask, lets one request at a time to it, and ends it when it misbehaves,
/// idles, or is not wanted any more.
final class ChildKeeper: Sendable {
    private struct State: Sendable {
        var process: (any VolumeServant)?
        /// A request is being answered.
        var isBusy = false
        var isClosed = false
        /// Counts children that were lost; whoever waited for one of them fails with it.
        var losses = 0
        var lastLoss = ""
        /// Losses without a quiet minute between them.
        var row = 0
        var lostAt = ContinuousClock.now
        var usedAt = ContinuousClock.now
    }

    /// What the child said when it opened the file system.
    struct Opening: Sendable, Hashable {
        var root: UInt64
        var blockSize: UInt32
        var blocks: UInt64
    }

    private let name: String
    private let device: any BlockDevice
    private let fileSystem: ProcessFileSystem
    private let launcher: VolumeLauncher
    private let state = Monitor(State())

    init(name: String, device: any BlockDevice, fileSystem: ProcessFileSystem, launcher: VolumeLauncher) {
        self.name = name
        self.device = device
        self.fileSystem = fileSystem
        self.launcher = launcher
    }

    /// Opens the file system.
    func open() throws(VolumeError) -> Opening {
        try withChild { (process) throws(Conversation.Break) in
            // Starting it has opened it; a second time is cheap and tells what there is.
            try opening(process)
        }
    }

    /// Asks the child; parts of the answer come to `part`, the rest is returned.
    func ask(
        _ request: VolumeRequest,
        part: ([UInt8]) throws(VolumeError) -> Void = { _ throws(VolumeError) in
            throw VolumeError(.reader, "it sent an answer in parts")
        }
    ) throws(VolumeError) -> [UInt8] {
        try withChild { (process) throws(Conversation.Break) in
            try conversation(process).ask(request, part: part)
        }
    }

    /// No more requests; the child is killed, whatever it is doing.
    func close() {
        let process = state.update { state in
            state.isClosed = true
            defer { state.process = nil }
            return state.process
        }
        process?.end(patience: .zero)
    }

    // MARK: Turns

    private func withChild<R>(
        _ body: (any VolumeServant) throws(Conversation.Break) -> R
    ) throws(VolumeError) -> R {
        try takeTurn()
        defer {
            state.update { state in
                state.isBusy = false
                state.usedAt = .now
            }
        }
        let process = try child()
        do throws(Conversation.Break) {
            return try body(process)
        } catch {
            throw failure(error, process)
        }
    }

    private func takeTurn() throws(VolumeError) {
        let losses = state.withState { $0.losses }
        let problem: VolumeError?? = state.wait { state in
            if state.isClosed { return .some(VolumeError(.gone, "the volume has been closed")) }
            if state.losses != losses { return .some(VolumeError(.reader, state.lastLoss)) }
            if state.isBusy { return nil }
            state.isBusy = true
            return .some(nil)
        }
        if let problem, let error = problem { throw error }
    }

    /// What a broken conversation means.
    private func failure(_ reason: Conversation.Break, _ process: any VolumeServant) -> VolumeError {
        switch reason {
        case .refused(let error): return error
        case .lost(let words):
            process.end(patience: .zero)
            let text = "the process that reads this file system is lost: \(words)"
            let wasClosed = state.update { state in
                state.process = nil
                guard !state.isClosed else { return true }
                state.row = ContinuousClock.now - state.lostAt < .seconds(60) ? state.row + 1 : 1
                state.lostAt = .now
                state.losses += 1
                state.lastLoss = text
                return false
            }
            if wasClosed { return VolumeError(.gone, "the volume has been closed") }
            launcher.log.error("\(name): \(text); it is started again at the next use")
            return VolumeError(.reader, text)
        }
    }

    // MARK: Children

    private func conversation(_ process: any VolumeServant) -> Conversation {
        Conversation(process: process, device: device, patience: launcher.patience)
    }

    /// The child; a new one if there is none. Only the one whose turn it is calls this.
    private func child() throws(VolumeError) -> any VolumeServant {
        let (known, wait) = state.update { state in (state.process, Self.delay(state)) }
        if let known { return known }
        guard wait <= .zero else {
            throw VolumeError(
                .reader,
                "\(state.update { $0.lastLoss }); too often, so it is started again only in a while"
            )
        }
        let process: any VolumeServant
        do {
            process = try launcher.start(launcher.program, [launcher.timeZone])
        } catch {
            throw VolumeError(.reader, "\(launcher.program) can't be started: \(error)")
        }
        do throws(Conversation.Break) {
            _ = try opening(process)
        } catch {
            throw failure(error, process)
        }
        let isClosed = state.update { state in
            if !state.isClosed { state.process = process }
            return state.isClosed
        }
        guard !isClosed else { throw VolumeError(.gone, "the volume has been closed") }
        watchIdleness(of: process)
        return process
    }

    /// How long to wait before another start: nothing after the first losses, then ever longer, half a minute at most.
    private static func delay(_ state: State) -> Duration {
        guard state.row > 3 else { return .zero }
        let pause = Duration.seconds(min(30, 1 << min(state.row - 4, 5)))
        return state.lostAt + pause - ContinuousClock.now
    }

    private func opening(_ process: any VolumeServant) throws(Conversation.Break) -> Opening {
        let request = VolumeRequest.open(fileSystem, size: device.size, sectorSize: 512)
        let answer = try conversation(process).ask(request) { _ throws(VolumeError) in
            throw VolumeError(.reader, "it sent an answer in parts")
        }
        var reader = PayloadReader(answer)
        guard let root = try? reader.integer(UInt64.self), let blockSize = try? reader.integer(UInt32.self),
            let blocks = try? reader.integer(UInt64.self), reader.isAtEnd, FileID(rawValue: root).isValid
        else { throw .lost("it sent an answer that can't be read") }
        return Opening(root: root, blockSize: blockSize, blocks: blocks)
    }

    /// Ends the child when nobody has asked it for a while.
    private func watchIdleness(of process: any VolumeServant) {
        let limit = launcher.idleLimit
        startThread("volume-idle") { [weak self] in
            while let state = self?.state {
                let rest = state.update { limit - (ContinuousClock.now - $0.usedAt) }
                let isOver: Bool? = state.wait(timeout: max(rest, .milliseconds(10))) { state in
                    if state.process !== process { return true }
                    guard !state.isBusy, ContinuousClock.now - state.usedAt >= limit else { return nil }
                    state.process = nil
                    return true
                }
                if isOver == true { break }
            }
            process.end(patience: .zero)
        }
    }
}
