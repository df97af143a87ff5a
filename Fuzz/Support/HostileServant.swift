internal import BlockDevice
internal import ByteIO
internal import Platform
internal import TestSupport
internal import VolumeProcess
internal import VolumeProtocol

/// A child that says what an input says, and looks at what the daemon says to it.
///
/// The input is a row of records: a byte of its kind and how often it comes, a length (2 bytes), and a payload, of which a frame is made. With the
/// upper bit of the kind set the bytes are sent as they are.
final class HostileServant: VolumeServant {
    private struct State: Sendable {
        var output: [UInt8]
        var position = 0
        /// The header that has been read, until its payload is.
        var header: [UInt8]?
        /// The payload of the last wish for bytes.
        var need: [UInt8] = []
        /// What the daemon was told since its last request: the payloads of parts and of the end.
        var answer: [UInt8] = []
        var complaint: String?
    }

    private static let outputLimit = 1 << 20
    private static let kinds: [Frame.Kind] = [.done, .part, .need, .failed, .done, .part, .bytes, .request]

    private let state: Locked<State>
    private let device: MemoryDevice
    private let silence: ServantProcess.Silence

    /// - Parameters:
    ///   - script: the records.
    ///   - opening: what is sent before them.
    ///   - silence: what becomes of who waits for more.
    init(_ script: ArraySlice<UInt8>, after opening: [UInt8], _ device: MemoryDevice, _ silence: ServantProcess.Silence)
    {
        var output = opening
        var rest = script
        while let kind = rest.popFirst(), output.count < Self.outputLimit {
            let count = Int(rest.popFirst() ?? 0) | Int(rest.popFirst() ?? 0) << 8
            let payload = Array(rest.prefix(count))
            rest = rest.dropFirst(count)
            if kind & 0x80 != 0 {
                output += payload
                continue
            }
            let frame = Frame.header(Self.kinds[Int(kind & 7)], count: payload.count) + payload
            for _ in 0...kind >> 3 where output.count < Self.outputLimit { output += frame }
        }
        state = Locked(State(output: output))
        self.device = device
        self.silence = silence
    }

    /// What was wrong with what the daemon has said.
    var complaint: String? { state.withLock { $0.complaint } }
    /// What it was told since its last request.
    var answer: [UInt8] { state.withLock { $0.answer } }

    func send(_ bytes: [UInt8], deadline: ContinuousClock.Instant) throws(ServantProcess.Silence) {
        state.withLock { state in
            let payload = Array(bytes.dropFirst(Frame.headerSize))
            guard let (kind, count) = Frame.parse(Array(bytes.prefix(Frame.headerSize))), count == payload.count else {
                state.complaint = "it sends what is no frame"
                return
            }
            switch kind {
            case .request:
                state.answer = []
                // A frame that broke off ended the talk before.
                state.header = nil
                if (try? VolumeRequest(payload: payload).payload) != payload {
                    state.complaint = "a request of its own"
                }
            case .bytes: if payload != wanted(state.need) { state.complaint = "it sends other bytes" }
            case .noBytes: if wanted(state.need) != nil { state.complaint = "it refuses bytes that there are" }
            default: state.complaint = "it sends a frame \(kind)"
            }
        }
    }

    /// The bytes that a wish is about; nil if there are none.
    private func wanted(_ need: [UInt8]) -> [UInt8]? {
        guard let offset = try? need.load(UInt64.self, at: 0, .little),
            let count = try? need.load(UInt32.self, at: 8, .little),
            offset < device.size, UInt64(count) <= device.size - offset
        else { return nil }
        return device.content[offset..<offset + UInt64(count)]
    }

    func receive(_ count: Int, deadline: ContinuousClock.Instant) throws(ServantProcess.Silence) -> [UInt8] {
        let bytes: [UInt8]? = state.withLock { state in
            if count > Frame.payloadLimit { state.complaint = "it makes room for \(count) bytes" }
            guard state.output.count - state.position >= count else { return nil }
            let bytes = Array(state.output[state.position..<state.position + count])
            state.position += count
            guard let header = state.header else {
                state.header = bytes
                return bytes
            }
            state.header = nil
            switch Frame.parse(header)?.kind {
            case .need: state.need = bytes
            case .part, .done: state.answer += bytes
            default: break
            }
            return bytes
        }
        guard let bytes else { throw silence }
        return bytes
    }

    func end(patience: Duration) -> String { "it was stopped" }
}
