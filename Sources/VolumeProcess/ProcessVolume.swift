public import BlockDevice
internal import FileSystem
internal import Platform
internal import VolumeProtocol
public import Volumes

/// A volume that libtsk reads, in a process of its own (`vhdfs-volume`): NTFS, ext2 to ext4, FAT, exFAT, HFS+.
///
/// The child tells names, attributes and where content lies; content that stands on the volume as it is, is read from the device here.
public final class ProcessVolume: VolumeReader {
    private let keeper: ChildKeeper
    private let device: any BlockDevice
    private let opening: ChildKeeper.Opening
    private let chunks = ChunkCache()

    /// Opens a volume.
    ///
    /// - Parameters:
    ///   - name: how messages call it.
    ///   - device: the volume's bytes.
    ///   - fileSystem: what was found on it.
    ///   - launcher: how its process is started.
    public init(
        name: String,
        device: any BlockDevice,
        fileSystem: ProcessFileSystem,
        launcher: VolumeLauncher
    ) throws(VolumeError) {
        self.device = device
        keeper = ChildKeeper(name: name, device: device, fileSystem: fileSystem, launcher: launcher)
        opening = try keeper.open()
    }

    deinit {
        keeper.close()
    }

    public var root: FileID { FileID(rawValue: opening.root) }

    public var statistics: VolumeStatistics {
        VolumeStatistics(blockSize: max(512, opening.blockSize), blocks: opening.blocks)
    }

    public func close() {
        keeper.close()
    }

    // MARK: Names and attributes

    public func attributes(of file: FileID) throws(VolumeError) -> FileAttributes {
        let answer = try keeper.ask(.attributes(file.rawValue))
        return try Self.parse(answer) { (reader) throws(Malformed) in try FileAttributes(&reader) }
    }

    public func folder(_ directory: FileID) throws(VolumeError) -> Folder {
        var folder = Folder(parent: nil)
        let answer = try keeper.ask(.folder(directory.rawValue)) { (part) throws(VolumeError) in
            try Self.append(part, to: &folder)
        }
        let parent = try Self.parse(answer) { (reader) throws(Malformed) -> UInt64? in
            let isKnown = try reader.integer(UInt8.self) == 1
            let parent = try reader.integer(UInt64.self)
            guard FileID(rawValue: parent).isValid else { throw Malformed() }
            return isKnown ? parent : nil
        }
        folder.parent = parent.map { FileID(rawValue: $0) }
        return folder
    }

    private static func append(_ part: [UInt8], to folder: inout Folder) throws(VolumeError) {
        var reader = PayloadReader(part)
        do {
            while !reader.isAtEnd {
                let hasAttributes = try reader.integer(UInt8.self) == 1
                let isHidden = try reader.integer(UInt8.self) == 1
                guard let kind = NodeKind(number: try reader.integer()) else { throw Malformed() }
                let file = FileID(rawValue: try reader.integer())
                let name = try reader.text()
                let attributes = hasAttributes ? try FileAttributes(&reader) : nil
                try folder.append(name: name, file: file, kind: kind, attributes: attributes, isHidden: isHidden)
            }
        } catch let error as VolumeError {
            throw error
        } catch {
            throw unreadable
        }
    }

    public func linkTarget(of link: FileID) throws(VolumeError) -> LinkTarget {
        let answer = try keeper.ask(.link(link.rawValue))
        return try Self.parse(answer) { (reader) throws(Malformed) in
            let base: LinkTarget.Base
            switch try reader.integer(UInt8.self) {
            case 0: base = .folder
            case 1: base = .root
            case 2: base = .elsewhere
            default: throw Malformed()
            }
            return LinkTarget(base: base, path: Array(try reader.text()))
        }
    }

    // MARK: Content

    /// More pieces than that are not kept for one file.
    private static let runLimit = 1_000_000

    public func open(_ file: FileID) throws(VolumeError) -> any VolumeFile {
        var payload: [UInt8] = []
        let last = try keeper.ask(.content(file.rawValue)) { (part) throws(VolumeError) in
            payload += part
            guard payload.count <= 17 * Self.runLimit else { throw VolumeError(.limit, "a file is in too many pieces") }
        }
        payload += last
        let (size, generation, runs) = try Self.parse(payload) { (reader) throws(Malformed) in
            let size = try reader.integer(UInt64.self)
            let generation = try reader.integer(UInt64.self)
            var runs: [ContentRun] = []
            while !reader.isAtEnd { runs.append(try ContentRun(&reader)) }
            return (size, generation, runs)
        }
        return try ProcessFile(
            file,
            size: size,
            generation: generation,
            runs: runs,
            device: device,
            keeper: keeper,
            chunks: chunks
        )
    }

    // MARK: Streams

    private static let prefix = Array("user.ads.".utf8)
    /// Linux has no longer names of extended attributes, and no longer values.
    private static let nameLimit = 255
    private static let valueLimit: UInt64 = 65536

    private func streams(of file: FileID) throws(VolumeError) -> [(number: UInt32, attribute: ExtendedAttribute)] {
        var payload: [UInt8] = []
        let last = try keeper.ask(.streams(file.rawValue)) { (part) throws(VolumeError) in
            payload += part
            guard payload.count <= 16 << 20 else { throw VolumeError(.limit, "a file has too many streams") }
        }
        payload += last
        return try Self.parse(payload) { (reader) throws(Malformed) in
            var streams: [(number: UInt32, attribute: ExtendedAttribute)] = []
            while !reader.isAtEnd {
                let number = try reader.integer(UInt32.self)
                let size = try reader.integer(UInt64.self)
                let name = Self.prefix + (try reader.text())
                guard name.count <= Self.nameLimit, !name.contains(0) else { continue }
                streams.append((number, ExtendedAttribute(name: name, size: size)))
            }
            return streams
        }
    }

    public func extendedAttributes(of file: FileID) throws(VolumeError) -> [ExtendedAttribute] {
        try streams(of: file).map(\.attribute)
    }

    public func value(of attribute: ExtendedAttribute, of file: FileID) throws(VolumeError) -> [UInt8] {
        guard let stream = try streams(of: file).first(where: { $0.attribute.name == attribute.name }) else {
            return []
        }
        let size = stream.attribute.size
        guard size <= Self.valueLimit else {
            throw VolumeError(.limit, "a stream of \(size) bytes is too long for an extended attribute of Linux")
        }
        guard size > 0 else { return [] }
        let request = VolumeRequest.read(file.rawValue, stream: stream.number, offset: 0, count: UInt32(size))
        let bytes = try keeper.ask(request)
        guard bytes.count == Int(size) else { throw Self.unreadable }
        return bytes
    }

    // MARK: Answers

    static let unreadable = VolumeError(
        .reader,
        "the process that reads this file system sent an answer that can't be read"
    )

    private static func parse<R>(
        _ answer: [UInt8],
        _ body: (inout PayloadReader) throws(Malformed) -> R
    ) throws(VolumeError) -> R {
        var reader = PayloadReader(answer)
        guard let value = try? body(&reader), reader.isAtEnd else { throw unreadable }
        return value
    }
}
