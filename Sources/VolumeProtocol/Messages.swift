public import FileSystem
public import Volumes

/// What the daemon asks.
public enum VolumeRequest: Sendable, Hashable {
    /// The first request: which file system, and how large the volume is.
    case open(ProcessFileSystem, size: UInt64, sectorSize: UInt32)
    case attributes(UInt64)
    case folder(UInt64)
    case link(UInt64)
    /// Where the content of a file is; stream 0 is the content itself.
    case content(UInt64)
    /// Bytes of a file, or of one of its streams.
    case read(UInt64, stream: UInt32, offset: UInt64, count: UInt32)
    case streams(UInt64)

    /// The payload of the request.
    public var payload: [UInt8] {
        var writer = PayloadWriter()
        switch self {
        case .open(let kind, let size, let sectorSize):
            writer.add(UInt8(1))
            writer.add(kind.rawValue)
            writer.add(size)
            writer.add(sectorSize)
        case .attributes(let file): writer.add(2, file)
        case .folder(let file): writer.add(3, file)
        case .link(let file): writer.add(4, file)
        case .content(let file): writer.add(5, file)
        case .read(let file, let stream, let offset, let count):
            writer.add(6, file)
            writer.add(stream)
            writer.add(offset)
            writer.add(count)
        case .streams(let file): writer.add(7, file)
        }
        return writer.bytes
    }

    /// Reads a payload.
    public init(payload: [UInt8]) throws(Malformed) {
        var reader = PayloadReader(payload)
        switch try reader.integer(UInt8.self) {
        case 1:
            guard let kind = ProcessFileSystem(rawValue: try reader.integer()) else { throw Malformed() }
            self = .open(kind, size: try reader.integer(), sectorSize: try reader.integer())
        case 2: self = .attributes(try reader.integer())
        case 3: self = .folder(try reader.integer())
        case 4: self = .link(try reader.integer())
        case 5: self = .content(try reader.integer())
        case 6:
            self = .read(
                try reader.integer(),
                stream: try reader.integer(),
                offset: try reader.integer(),
                count: try reader.integer()
            )
        case 7: self = .streams(try reader.integer())
        default: throw Malformed()
        }
        guard reader.isAtEnd else { throw Malformed() }
    }
}

extension PayloadWriter {
    fileprivate mutating func add(_ verb: UInt8, _ file: UInt64) {
        add(verb)
        add(file)
    }
}

/// The kinds of failure that a child tells, as `VolumeError` has them.
public enum FailureKind: UInt8, Sendable {
    case notRecognized = 1
    case damaged
    case unsupported
    case limit
}

// MARK: - Attributes

extension FileAttributes {
    /// Adds the attributes to a payload.
    public func write(to writer: inout PayloadWriter) {
        let known: UInt8 =
            (permissions == nil ? 0 : 1) | (owner == nil ? 0 : 2) | (group == nil ? 0 : 4) | (device == nil ? 0 : 8)
        writer.add(kind.number)
        writer.add(known)
        writer.add(permissions ?? 0)
        writer.add(size)
        writer.add(allocatedBytes)
        writer.add(linkCount)
        writer.add(owner ?? 0)
        writer.add(group ?? 0)
        for time in [modified, accessed, changed] {
            writer.add(time.seconds)
            writer.add(time.nanoseconds)
        }
        writer.add(device?.major ?? 0)
        writer.add(device?.minor ?? 0)
        writer.add(generation)
    }

    /// Reads attributes from a payload.
    public init(_ reader: inout PayloadReader) throws(Malformed) {
        guard let kind = NodeKind(number: try reader.integer()) else { throw Malformed() }
        let known = try reader.integer(UInt8.self)
        let permissions = try reader.integer(UInt16.self)
        let size = try reader.integer(UInt64.self)
        let allocated = try reader.integer(UInt64.self)
        let links = try reader.integer(UInt32.self)
        let owner = try reader.integer(UInt32.self)
        let group = try reader.integer(UInt32.self)
        var times: [Timestamp] = []
        for _ in 0..<3 {
            let seconds = try reader.integer(Int64.self)
            let nanoseconds = try reader.integer(Int64.self)
            guard (0..<1_000_000_000).contains(nanoseconds) else { throw Malformed() }
            times.append(Timestamp(seconds: seconds, nanoseconds: nanoseconds))
        }
        let device = DeviceNumber(major: try reader.integer(), minor: try reader.integer())
        let generation = try reader.integer(UInt64.self)
        guard size <= UInt64(Int64.max), permissions <= 0o7777, known < 16 else { throw Malformed() }
        // What is not known is zero, so that each value is written in one way only.
        let isZero = [permissions == 0, owner == 0, group == 0, device == DeviceNumber(major: 0, minor: 0)]
        for (index, isZero) in isZero.enumerated() where known >> UInt8(index) & 1 == 0 {
            guard isZero else { throw Malformed() }
        }
        self.init(
            kind: kind,
            size: size,
            allocatedBytes: allocated,
            linkCount: links,
            permissions: known & 1 == 0 ? nil : permissions,
            owner: known & 2 == 0 ? nil : owner,
            group: known & 4 == 0 ? nil : group,
            modified: times[0],
            accessed: times[1],
            changed: times[2],
            device: known & 8 == 0 ? nil : device,
            generation: generation
        )
    }
}

extension NodeKind {
    private static let numbered: [NodeKind] = [
        .directory, .regular, .symbolicLink, .characterDevice, .blockDevice, .fifo, .socket,
    ]

    /// The kind as a number of the protocol.
    public var number: UInt8 { UInt8(Self.numbered.firstIndex(of: self) ?? 1) }

    /// The kind of a number.
    public init?(number: UInt8) {
        guard Int(number) < Self.numbered.count else { return nil }
        self = Self.numbered[Int(number)]
    }
}

// MARK: - Content

/// Where a run of a file's content is.
public struct ContentRun: Sendable, Hashable {
    /// The ways to get at it.
    public enum Place: Sendable, Hashable {
        /// On the volume, from this byte on.
        case volume(UInt64)
        /// Nowhere: zeros.
        case hole
        /// Only the child can read it (`read`).
        case child
        /// It can't be read.
        case lost
    }

    /// Where it is.
    public var place: Place
    /// Its length in bytes.
    public var count: UInt64

    /// Makes a run.
    public init(_ place: Place, count: UInt64) {
        self.place = place
        self.count = count
    }

    /// Adds the run to a payload.
    public func write(to writer: inout PayloadWriter) {
        switch place {
        case .volume(let offset):
            writer.add(UInt8(1))
            writer.add(offset)
        case .hole: writer.add(UInt8(2))
        case .child: writer.add(UInt8(3))
        case .lost: writer.add(UInt8(4))
        }
        writer.add(count)
    }

    /// Reads a run from a payload.
    public init(_ reader: inout PayloadReader) throws(Malformed) {
        switch try reader.integer(UInt8.self) {
        case 1: place = .volume(try reader.integer())
        case 2: place = .hole
        case 3: place = .child
        case 4: place = .lost
        default: throw Malformed()
        }
        count = try reader.integer()
    }
}
