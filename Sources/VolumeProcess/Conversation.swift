internal import BlockDevice
internal import ByteIO
internal import Platform
internal import VolumeProtocol
internal import Volumes

/// One request and all that belongs to it: the child's wishes for bytes, parts of the answer, the answer.
///
/// Nothing that the child says is believed before it has been checked: it has parsed what a stranger wrote.
struct Conversation {
    /// Why it did not come to an answer.
    enum Break: Error {
        /// The child has answered that it can't.
        case refused(VolumeError)
        /// There is no use in talking to this child any more.
        case lost(String)
    }

    let process: any VolumeServant
    let device: any BlockDevice
    let patience: Duration

    /// Asks, and hands out the payloads of parts; returns the payload of the answer.
    func ask(_ request: VolumeRequest, part: ([UInt8]) throws(VolumeError) -> Void) throws(Break) -> [UInt8] {
        var deadline = ContinuousClock.now + patience
        var diskError: DiskError?
        try send(.request, request.payload, deadline)
        while true {
            let (kind, payload) = try receive(deadline)
            switch kind {
            case .need:
                try answer(payload, &deadline, &diskError)
            case .part:
                do throws(VolumeError) {
                    try part(payload)
                } catch {
                    throw .lost(error.text)
                }
            case .done: return payload
            case .failed:
                if let diskError { throw .refused(VolumeError(diskError)) }
                throw .refused(try failure(payload))
            case .request, .bytes, .noBytes: throw .lost("it sent a message that is not for us")
            }
        }
    }

    /// Gives the child bytes of the volume.
    private func answer(
        _ payload: [UInt8],
        _ deadline: inout ContinuousClock.Instant,
        _ diskError: inout DiskError?
    ) throws(Break) {
        var reader = PayloadReader(payload)
        guard let offset = try? reader.integer(UInt64.self), let count = try? reader.integer(UInt32.self),
            reader.isAtEnd, count > 0, count <= Frame.byteLimit
        else { throw .lost("it asked for bytes that can't be") }
        guard offset < device.size, UInt64(count) <= device.size - offset else {
            return try send(.noBytes, [], deadline)
        }
        let start = ContinuousClock.now
        let bytes = Result { () throws(DiskError) in try device.readBytes(at: offset, count: Int(count)) }
        // The time of a slow disk is not the child's fault. That in which it does not take the bytes is.
        deadline += ContinuousClock.now - start
        switch bytes {
        case .success(let bytes): try send(.bytes, bytes, deadline)
        case .failure(let error):
            diskError = diskError ?? error
            try send(.noBytes, [], deadline)
        }
    }

    private func failure(_ payload: [UInt8]) throws(Break) -> VolumeError {
        var reader = PayloadReader(payload)
        guard let number = try? reader.integer(UInt8.self), let kind = FailureKind(rawValue: number),
            let text = try? reader.text()
        else { throw .lost("it sent a failure that can't be read") }
        let words = String(decoding: text, as: UTF8.self)
        return switch kind {
        case .notRecognized: VolumeError(.notRecognized, words)
        case .damaged: VolumeError(.damaged, words)
        case .unsupported: VolumeError(.unsupported, words)
        case .limit: VolumeError(.limit, words)
        }
    }

    // MARK: Frames

    private func send(_ kind: Frame.Kind, _ payload: [UInt8], _ deadline: ContinuousClock.Instant) throws(Break) {
        do {
            try process.send(Frame.header(kind, count: payload.count) + payload, deadline: deadline)
        } catch {
            throw lost(error)
        }
    }

    private func receive(_ deadline: ContinuousClock.Instant) throws(Break) -> (kind: Frame.Kind, payload: [UInt8]) {
        do {
            guard let (kind, count) = Frame.parse(try process.receive(Frame.headerSize, deadline: deadline)) else {
                throw Break.lost("it sent what is no message")
            }
            return (kind, try process.receive(count, deadline: deadline))
        } catch let error as ServantProcess.Silence {
            throw lost(error)
        } catch let error as Break {
            throw error
        } catch {
            throw .lost("\(error)")
        }
    }

    private func lost(_ silence: ServantProcess.Silence) -> Break {
        switch silence {
        case .timeout: .lost("it did not answer for \(patience.components.seconds) seconds")
        case .ended: .lost(process.end(patience: .milliseconds(500)))
        }
    }
}
