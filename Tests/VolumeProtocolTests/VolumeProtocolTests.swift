import FileSystem
import TestSupport
import Testing
import VolumeProtocol
import Volumes

/// What the daemon and its readers say to each other.
struct VolumeProtocolTests {
    private static let requests: [VolumeRequest] = [
        .open(.ntfs, size: 1 << 45, sectorSize: 512), .attributes(5), .folder(.max), .link(0), .content(77),
        .read(1, stream: 3, offset: 1 << 40, count: 65536), .streams(9),
    ]

    @Test(arguments: requests)
    func requestsAreReadAsWritten(_ request: VolumeRequest) throws {
        #expect(try VolumeRequest(payload: request.payload) == request)
        for count in 0..<request.payload.count {
            #expect(throws: Malformed.self) { try VolumeRequest(payload: Array(request.payload.prefix(count))) }
        }
        #expect(throws: Malformed.self) { try VolumeRequest(payload: request.payload + [0]) }
    }

    @Test func attributesAreReadAsWritten() throws {
        var attributes = FileAttributes(
            kind: .characterDevice,
            size: 1 << 50,
            allocatedBytes: 4096,
            linkCount: 3,
            permissions: 0o4755,
            owner: 70000,
            group: 5,
            modified: Timestamp(seconds: -5, nanoseconds: 999_999_999),
            accessed: Timestamp(seconds: 1 << 33),
            changed: Timestamp(seconds: 7, nanoseconds: 1),
            device: DeviceNumber(major: 8, minor: 300),
            generation: .max
        )
        for _ in 0..<2 {
            var writer = PayloadWriter()
            attributes.write(to: &writer)
            var reader = PayloadReader(writer.bytes)
            #expect(try FileAttributes(&reader) == attributes)
            #expect(reader.isAtEnd)
            (attributes.permissions, attributes.owner, attributes.group, attributes.device) = (nil, nil, nil, nil)
        }
    }

    /// Bytes that no one would have written are not read: those of fields that are not known (permissions, owner, group, device), and of more.
    @Test(arguments: [(1, 0x10), (1, 0xFF), (2, 1), (25, 1), (30, 1), (80, 1), (87, 1)])
    func attributesAreWrittenInOneWay(_ offset: Int, _ byte: UInt8) throws {
        var writer = PayloadWriter()
        FileAttributes(kind: .regular, size: 1, allocatedBytes: 0, modified: Timestamp(seconds: 0)).write(to: &writer)
        var bytes = writer.bytes
        bytes[offset] = byte
        var reader = PayloadReader(bytes)
        #expect(throws: Malformed.self) { try FileAttributes(&reader) }
    }

    @Test(arguments: [
        ContentRun(.volume(1 << 40), count: 7), ContentRun(.hole, count: .max), ContentRun(.child, count: 0),
        ContentRun(.lost, count: 3),
    ])
    func runsAreReadAsWritten(_ run: ContentRun) throws {
        var writer = PayloadWriter()
        run.write(to: &writer)
        var reader = PayloadReader(writer.bytes)
        #expect(try ContentRun(&reader) == run)
        #expect(reader.isAtEnd)
    }

    /// Whatever a reader that has been taken over says, it is read or refused.
    @Test(arguments: SeededGenerator.seeds(3))
    func anyBytesAreReadOrRefused(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0..<120, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            _ = try? VolumeRequest(payload: bytes)
            var reader = PayloadReader(bytes)
            _ = try? FileAttributes(&reader)
            _ = try? ContentRun(&reader)
            _ = try? reader.text()
            if let (_, count) = Frame.parse(Array(bytes.prefix(5))) { #expect(count <= Frame.payloadLimit) }
        }
    }
}
