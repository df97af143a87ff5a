internal import FileSystem
internal import VolumeProtocol
internal import Volumes

/// What the daemon and `vhdfs-volume` say to each other. The first byte of an input says what the others are: one of the messages, values to make
/// messages of, or all that a hostile child says (`HostileServant`).
///
/// * Whatever can be read is written with the same bytes again, and whatever is written is read as the same.
/// * Of a hostile child see `HostileTalk`.
public struct ProtocolTarget: FuzzedFormat {
    public let name = "protocol"

    public func run(_ bytes: [UInt8]) throws(FuzzFailure) {
        guard let first = bytes.first else { return }
        let rest = Array(bytes.dropFirst())
        switch first {
        case 0: try readFrame(rest)
        case 1: try rewrite(rest, "request", VolumeRequest.read) { $1.add(rest: $0.payload) }
        case 2: try rewrite(rest, "attributes", FileAttributes.init) { $0.write(to: &$1) }
        case 3: try rewrite(rest, "run", ContentRun.init) { $0.write(to: &$1) }
        case 4: try writeValues(rest)
        default: try HostileTalk(rest).run()
        }
    }

    private func readFrame(_ bytes: [UInt8]) throws(FuzzFailure) {
        let header = Array(bytes.prefix(Frame.headerSize))
        guard let (kind, count) = Frame.parse(header) else { return }
        try FuzzFailure.unless(Frame.header(kind, count: count) == header, "another header of a frame")
        try FuzzFailure.unless((0...Frame.payloadLimit).contains(count), "\(count) bytes of payload")
    }

    /// Reads a value, and writes it.
    private func rewrite<Value>(
        _ bytes: [UInt8],
        _ what: String,
        _ read: (inout PayloadReader) throws(Malformed) -> Value,
        _ write: (Value, inout PayloadWriter) -> Void
    ) throws(FuzzFailure) {
        var reader = PayloadReader(bytes)
        guard let value = try? read(&reader) else { return }
        var writer = PayloadWriter()
        write(value, &writer)
        writer.add(rest: reader.rest())
        try FuzzFailure.unless(writer.bytes == bytes, "\(what) \(value) is written with other bytes")
    }

    /// Writes values, and reads them.
    private func writeValues(_ bytes: [UInt8]) throws(FuzzFailure) {
        var values = PayloadReader(bytes)
        func next<T: FixedWidthInteger>() -> T { (try? values.integer(T.self)) ?? 0 }
        let requests: [VolumeRequest] = [
            .open(ProcessFileSystem.allCases[Int(next() as UInt8) % 5], size: next(), sectorSize: next()),
            .attributes(next()),
            .folder(next()), .link(next()), .content(next()),
            .read(next(), stream: next(), offset: next(), count: next()), .streams(next()),
        ]
        for request in requests {
            try FuzzFailure.unless(
                (try? VolumeRequest(payload: request.payload)) == request,
                "another request \(request)"
            )
        }
        let known: UInt8 = next()
        let times = (0..<3).map { _ in
            Timestamp(seconds: next(), nanoseconds: Int64(next() as UInt32) % 1_000_000_000)
        }
        let attributes = FileAttributes(
            kind: NodeKind(number: next() % 7) ?? .regular,
            size: next() >> 1,
            allocatedBytes: next(),
            linkCount: next(),
            permissions: known & 1 == 0 ? nil : next() & 0o7777,
            owner: known & 2 == 0 ? nil : next(),
            group: known & 4 == 0 ? nil : next(),
            modified: times[0],
            accessed: times[1],
            changed: times[2],
            device: known & 8 == 0 ? nil : DeviceNumber(major: next(), minor: next()),
            generation: next()
        )
        let places: [ContentRun.Place] = [.volume(next()), .hole, .child, .lost]
        let run = ContentRun(places[Int(known >> 4) % 4], count: next())
        let text = Array(values.rest())
        var writer = PayloadWriter()
        attributes.write(to: &writer)
        run.write(to: &writer)
        writer.add(text: text)
        var reader = PayloadReader(writer.bytes)
        try FuzzFailure.unless((try? FileAttributes(&reader)) == attributes, "other attributes than \(attributes)")
        try FuzzFailure.unless((try? ContentRun(&reader)) == run, "another run than \(run)")
        try FuzzFailure.unless((try? reader.text()).map { Array($0) } == text, "another text")
        try FuzzFailure.unless(reader.isAtEnd, "there is more")
    }

    public var inputs: [[UInt8]] {
        let requests: [VolumeRequest] = [
            .open(.ntfs, size: 1 << 45, sectorSize: 512), .attributes(5), .folder(.max), .link(0), .content(77),
            .read(1, stream: 3, offset: 1 << 40, count: 65536), .streams(9),
        ]
        var (attributes, run) = (PayloadWriter(), PayloadWriter())
        HostileTalk.attributes.write(to: &attributes)
        ContentRun(.volume(512), count: 1000).write(to: &run)
        return [[0] + Frame.header(.need, count: 12), [2] + attributes.bytes, [3] + run.bytes]
            + requests.map { [1] + $0.payload } + [[4] + (0..<200).map { UInt8($0) }]
            + HostileTalk.inputs.map { [5] + $0 }
    }
}

extension VolumeRequest {
    /// Reads all that is left as a request.
    fileprivate static func read(_ reader: inout PayloadReader) throws(Malformed) -> VolumeRequest {
        try VolumeRequest(payload: Array(reader.rest()))
    }
}
