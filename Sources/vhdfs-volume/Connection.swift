import CTSK
import Glibc
import VolumeProtocol

/// The daemon's end of the conversation, seen from here. When the daemon hangs up, the process ends.
enum Connection {
    private static let socket: Int32 = 0

    static func receive() -> (kind: Frame.Kind, payload: [UInt8]) {
        guard let (kind, count) = Frame.parse(receive(Frame.headerSize)) else { exit(71) }
        return (kind, receive(count))
    }

    static func send(_ kind: Frame.Kind, _ payload: [UInt8]) {
        var rest = (Frame.header(kind, count: payload.count) + payload)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send_(socket, $0.baseAddress, $0.count) }
            if count > 0 { rest.removeFirst(count) } else if errno != EINTR { exit(0) }
        }
    }

    private static func send_(_ socket: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
        Glibc.send(socket, bytes, count, Int32(MSG_NOSIGNAL))
    }

    private static func receive(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
            while done < count {
                let got = recv(socket, buffer.baseAddress?.advanced(by: done), count - done, 0)
                if got > 0 { done += got } else if got == 0 || errno != EINTR { exit(0) }
            }
        }
    }

    /// Asks the daemon for bytes of the volume; -1 when it can't read them.
    static func need(_ offset: Int64, _ buffer: UnsafeMutablePointer<CChar>, _ count: Int) -> Int {
        var done = 0
        while done < count {
            let part = min(count - done, Frame.byteLimit)
            var writer = PayloadWriter()
            writer.add(UInt64(bitPattern: offset) &+ UInt64(done))
            writer.add(UInt32(part))
            send(.need, writer.bytes)
            let (kind, payload) = receive()
            guard kind == .bytes, payload.count == part else { return -1 }
            payload.withUnsafeBytes { bytes in
                UnsafeMutableRawPointer(buffer.advanced(by: done)).copyMemory(
                    from: bytes.baseAddress ?? UnsafeRawPointer(buffer),
                    byteCount: part
                )
            }
            done += part
        }
        return done
    }
}
