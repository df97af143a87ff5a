import CTSK
import FileSystem
import Glibc
import VolumeProtocol
import Volumes

/// Why a request fails.
struct Failure: Error {
    var kind: FailureKind
    var text: String

    init(_ kind: FailureKind, _ text: String) {
        self.kind = kind
        self.text = text
    }

    /// What libtsk says was wrong.
    static func library(_ what: String) -> Failure {
        let words = tsk_error_get().map { String(cString: $0) } ?? "no reason given"
        tsk_error_reset()
        return Failure(.damaged, "\(what): \(words.split(separator: "\n").joined(separator: "; "))")
    }
}

/// Answers requests, one at a time.
final class Service {
    private var volume: (any TSKVolume)?

    func run() -> Never {
        while true {
            let (kind, payload) = Connection.receive()
            guard kind == .request, let request = try? VolumeRequest(payload: payload) else { exit(71) }
            do {
                Connection.send(.done, try answer(request))
            } catch {
                let failure = error as? Failure ?? Failure(.damaged, "\(error)")
                var writer = PayloadWriter()
                writer.add(failure.kind.rawValue)
                writer.add(text: failure.text.utf8)
                Connection.send(.failed, writer.bytes)
            }
        }
    }

    private func answer(_ request: VolumeRequest) throws -> [UInt8] {
        var writer = PayloadWriter()
        if case .open(let kind, let size, let sectorSize) = request {
            let opened = try open(kind, size: size, sectorSize: sectorSize)
            volume = opened
            writer.add(opened.root)
            writer.add(UInt32(opened.blockSize))
            writer.add(opened.blocks)
            return writer.bytes
        }
        guard let volume else { throw Failure(.damaged, "nothing has been opened") }
        switch request {
        case .open: break
        case .attributes(let file): try volume.attributes(of: file).write(to: &writer)
        case .folder(let file): try writeFolder(volume, file, &writer)
        case .link(let file):
            let target = try volume.linkTarget(of: file)
            writer.add(UInt8(target.base == .folder ? 0 : target.base == .root ? 1 : 2))
            writer.add(text: target.path)
        case .content(let file):
            let content = try volume.content(of: file)
            writer.add(content.size)
            writer.add(content.generation)
            for run in content.runs {
                run.write(to: &writer)
                Self.flush(&writer)
            }
        case .read(let file, let stream, let offset, let count):
            writer.add(rest: try volume.read(file, stream: stream, offset: offset, count: Int(count)))
        case .streams(let file):
            for stream in try volume.streams(of: file) {
                writer.add(stream.id)
                writer.add(stream.size)
                writer.add(text: stream.name)
                Self.flush(&writer)
            }
        }
        return writer.bytes
    }

    private func writeFolder(_ volume: any TSKVolume, _ file: UInt64, _ writer: inout PayloadWriter) throws {
        var output = writer
        let parent = try volume.folder(file) { name, id, isHidden, kind, attributes in
            output.add(UInt8(attributes == nil ? 0 : 1))
            output.add(UInt8(isHidden ? 1 : 0))
            output.add(kind.number)
            output.add(id)
            output.add(text: name)
            attributes?.write(to: &output)
            Self.flush(&output)
        }
        Connection.send(.part, output.bytes)
        writer = PayloadWriter()
        writer.add(UInt8(parent == nil ? 0 : 1))
        writer.add(parent ?? 0)
    }

    /// Sends what has gathered; a list never splits an item.
    private static func flush(_ writer: inout PayloadWriter) {
        guard writer.bytes.count >= 256 << 10 else { return }
        Connection.send(.part, writer.bytes)
        writer = PayloadWriter()
    }

    private func open(_ kind: ProcessFileSystem, size: UInt64, sectorSize: UInt32) throws -> any TSKVolume {
        let type: TSK_FS_TYPE_ENUM =
            switch kind {
            case .ntfs: TSK_FS_TYPE_NTFS
            case .ext: TSK_FS_TYPE_EXT_DETECT
            case .fat: TSK_FS_TYPE_FAT_DETECT
            case .exfat: TSK_FS_TYPE_EXFAT
            case .hfsPlus: TSK_FS_TYPE_HFS
            }
        let read: ctsk_read_function = { offset, buffer, count in
            buffer.map { Connection.need(offset, $0, count) } ?? -1
        }
        var blocks: UInt64 = 0
        guard let fs = ctsk_open(Int64(clamping: size), sectorSize, type, read, &blocks) else {
            throw Failure.library("the file system can't be opened")
        }
        return switch kind {
        case .ntfs: NTFSVolume(fs, blocks: blocks)
        case .ext: try ExtVolume(fs, blocks: blocks)
        case .fat, .exfat: try FATVolume(fs, blocks: blocks)
        case .hfsPlus: try PlainVolume(fs, blocks: blocks)
        }
    }
}
