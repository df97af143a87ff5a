internal import BlockDevice
internal import ByteIO
internal import FileSystem
internal import Logging
internal import Platform
internal import SystemPackage
internal import TestSupport
internal import VolumeProcess
internal import VolumeProtocol
internal import Volumes

/// The daemon asks, and a hostile child answers. An input is a byte of options, eight questions, and what the child says.
///
/// * Every call ends, with a value that the tree can bear or with an error.
/// * Content that the child does not read itself is what a plain reader of its answer takes from the disk, to the byte.
/// * The daemon says only what the protocol has, gives only the bytes that were asked for, and makes room for no more than a frame.
struct HostileTalk {
    private static let size: UInt64 = 65536
    private static let device = {
        var disk = SparseBytes(count: size)
        disk.store((0..<Int(size)).map { UInt8(truncatingIfNeeded: $0 / 256 &* 7 &+ $0) }, at: 0)
        return MemoryDevice(disk, isReadOnly: true)
    }()

    private let options: UInt8
    private let questions: [UInt8]
    private let script: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) {
        options = bytes.first ?? 0
        questions = Array(bytes.dropFirst().prefix(8))
        script = bytes.dropFirst(9)
    }

    func run() throws(FuzzFailure) {
        // It is asked when it starts, and once more.
        let opening = options & 1 == 0 ? Self.frame(.done, Self.opened) + Self.frame(.done, Self.opened) : []
        let servant = HostileServant(script, after: opening, Self.device, options & 2 == 0 ? .ended : .timeout)
        var launcher = VolumeLauncher(
            program: "child",
            log: Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() }
        )
        // Whoever is started again goes on where the one before was.
        launcher.start = { (_, _) throws(Errno) in servant }
        do throws(VolumeError) {
            let volume = try ProcessVolume(name: "v", device: Self.device, fileSystem: .ntfs, launcher: launcher)
            defer { volume.close() }
            try Self.unlessRefused(volume.root.isValid, "the root is file \(volume.root.rawValue)")
            _ = volume.statistics
            for question in questions { try ask(question, volume, servant) }
        } catch {
            if let failure = error.broken { throw failure }
        }
        if let complaint = servant.complaint { throw FuzzFailure(complaint) }
    }

    // MARK: Questions

    /// Asks; an error is an answer too.
    private func ask(_ question: UInt8, _ volume: ProcessVolume, _ servant: HostileServant) throws(VolumeError) {
        let file = FileID(rawValue: UInt64(question >> 4))
        do throws(VolumeError) {
            switch (question & 15) % 6 {
            case 0:
                let attributes = try volume.attributes(of: file)
                try Self.expectBearable(attributes)
            case 1:
                let folder = try volume.folder(file)
                try Self.unlessRefused(folder.parent.map(\.isValid) ?? true, "the parent is no file")
                for entry in folder.entries {
                    try Self.unlessRefused(entry.file.isValid, "an entry is no file")
                    if let attributes = entry.attributes { try Self.expectBearable(attributes) }
                    _ = ShownName.shown(folder.name(of: entry))
                }
            case 2: _ = try volume.linkTarget(of: file)
            case 3, 4:
                for attribute in try volume.extendedAttributes(of: file).prefix(2) {
                    try Self.unlessRefused(attribute.name.count <= 255, "a long name of a stream")
                    let value = try volume.value(of: attribute, of: file)
                    try Self.unlessRefused(value.count <= 65536, "a value of \(value.count) bytes")
                }
            default:
                let content = try volume.open(file)
                try read(content, PlainContent(servant.answer))
            }
        } catch {
            if error.broken != nil { throw error }
        }
    }

    private static func expectBearable(_ attributes: FileAttributes) throws(VolumeError) {
        let isTime = [attributes.modified, attributes.accessed, attributes.changed].allSatisfy {
            (0..<1_000_000_000).contains($0.nanoseconds)
        }
        let isBearable = isTime && attributes.size <= UInt64(Int64.max) && attributes.permissions ?? 0 <= 0o7777
        try unlessRefused(isBearable, "attributes \(attributes)")
    }

    private func read(_ file: any VolumeFile, _ plain: PlainContent?) throws(VolumeError) {
        guard let plain, plain.size == file.size else { throw .broken("other content than the answer tells") }
        try Self.unlessRefused(file.size <= UInt64(Int64.max), "a file of \(file.size) bytes")
        var position: UInt64 = 0
        for _ in 0..<50 where position < file.size {
            let end = try file.allocation(at: position, limit: file.size).end
            try Self.unlessRefused(end > position && end <= file.size, "a run from \(position) to \(end)")
            for place in [position, end - 1] { try read(file, plain, at: place) }
            position = end
        }
        for place in [file.size / 2, file.size - min(file.size, 1000)] { try read(file, plain, at: place) }
        let pastEnd = try? Self.bytes(of: file, at: file.size, count: 1)
        try Self.unlessRefused(pastEnd == nil, "a byte past the end")
    }

    private func read(_ file: any VolumeFile, _ plain: PlainContent, at offset: UInt64) throws(VolumeError) {
        let count = Int(min(file.size - offset, 700))
        guard let expected = plain.bytes(at: offset, count: count, of: Self.device.content) else { return }
        let found: [UInt8]?
        do throws(VolumeError) { found = try Self.bytes(of: file, at: offset, count: count) } catch { found = nil }
        switch expected {
        case .bytes(let bytes): try Self.unlessRefused(found == bytes, "other bytes at \(offset)")
        case .nothing: try Self.unlessRefused(found == nil, "bytes at \(offset), where there are none")
        }
    }

    private static func bytes(of file: any VolumeFile, at offset: UInt64, count: Int) throws(VolumeError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: count)
        try bytes.withMutableBytes { (span) throws(VolumeError) in try file.read(into: &span, at: offset) }
        return bytes
    }

    private static func unlessRefused(_ isKept: Bool, _ text: @autoclosure () -> String) throws(VolumeError) {
        if !isKept { throw .broken(text()) }
    }
}

extension VolumeError {
    private static let mark = "broken promise: "

    /// A promise that was broken, on its way through what throws nothing else.
    fileprivate static func broken(_ text: String) -> VolumeError { VolumeError(.reader, mark + text) }

    fileprivate var broken: FuzzFailure? {
        text.hasPrefix(Self.mark) ? FuzzFailure(String(text.dropFirst(Self.mark.count))) : nil
    }
}

/// The answer about a file's content, read byte for byte.
private struct PlainContent {
    enum Expected {
        case bytes([UInt8])
        case nothing
    }

    let size: UInt64
    private var runs: [(kind: UInt8, place: UInt64, count: UInt64)] = []

    init?(_ answer: [UInt8]) {
        func number(_ offset: Int) -> UInt64? { try? answer.load(UInt64.self, at: offset, .little) }
        // The generation stands behind the size.
        guard let size = number(0), number(8) != nil else { return nil }
        self.size = size
        var position = 16
        while position < answer.count {
            let kind = answer[position]
            let place = kind == 1 ? number(position + 1) : 0
            guard let place, let count = number(position + (kind == 1 ? 9 : 1)) else { return nil }
            runs.append((kind, place, count))
            position += kind == 1 ? 17 : 9
        }
    }

    /// What reading gives; nil where that is the child's to say.
    func bytes(at offset: UInt64, count: Int, of disk: SparseBytes) -> Expected? {
        var bytes: [UInt8] = []
        var result: Expected? = .bytes([])
        var (index, inside) = (0, offset)
        while index < runs.count, inside >= runs[index].count {
            inside -= runs[index].count
            index += 1
        }
        while bytes.count < count, index < runs.count {
            let run = runs[index]
            let part = min(UInt64(count - bytes.count), run.count - inside)
            switch run.kind {
            case 1:
                let (start, overflow) = run.place.addingReportingOverflow(inside)
                guard !overflow, start <= disk.count, part <= disk.count - start else { return .nothing }
                bytes += disk[start..<start + part]
            case 2: bytes += [UInt8](repeating: 0, count: Int(part))
            case 3:
                bytes += [UInt8](repeating: 0, count: Int(part))
                result = nil
            default: return result == nil ? nil : .nothing
            }
            (index, inside) = (index + 1, 0)
        }
        return result == nil ? nil : .bytes(bytes)
    }
}

// MARK: - Inputs

extension HostileTalk {
    private static func frame(_ kind: Frame.Kind, _ payload: [UInt8]) -> [UInt8] {
        Frame.header(kind, count: payload.count) + payload
    }

    private static func payload(_ body: (inout PayloadWriter) -> Void) -> [UInt8] {
        var writer = PayloadWriter()
        body(&writer)
        return writer.bytes
    }

    private static let opened = payload {
        $0.add(UInt64(5))
        $0.add(UInt32(512))
        $0.add(UInt64(128))
    }

    static let attributes = FileAttributes(
        kind: .regular,
        size: 3500,
        allocatedBytes: 4096,
        permissions: 0o644,
        owner: 1000,
        modified: Timestamp(seconds: 1 << 31, nanoseconds: 5)
    )

    /// Talks as there are with a child that does its work.
    static var inputs: [[UInt8]] {
        func record(_ kind: UInt8, _ payload: [UInt8]) -> [UInt8] {
            [kind, UInt8(truncatingIfNeeded: payload.count), UInt8(truncatingIfNeeded: payload.count >> 8)] + payload
        }
        let entry = payload {
            for number: UInt8 in [1, 0, 1] { $0.add(number) }
            $0.add(UInt64(7))
            $0.add(text: "name".utf8)
            attributes.write(to: &$0)
        }
        let content = payload {
            $0.add(UInt64(3500))
            $0.add(UInt64(1))
            for run in [
                ContentRun(.volume(512), count: 1000), ContentRun(.hole, count: 500), ContentRun(.child, count: 2000),
            ] {
                run.write(to: &$0)
            }
        }
        // As long as a length can be: what is added to an offset goes past all numbers.
        let endless = payload {
            $0.add(UInt64.max)
            $0.add(UInt64(1))
            ContentRun(.volume(512), count: .max).write(to: &$0)
        }
        let stream = payload {
            $0.add(UInt32(3))
            $0.add(UInt64(4))
            $0.add(text: "zone".utf8)
        }
        let need = payload {
            $0.add(UInt64(1024))
            $0.add(UInt32(512))
        }
        let failure = payload {
            $0.add(UInt8(2))
            $0.add(text: "no".utf8)
        }
        let read = record(0, [UInt8](repeating: 9, count: 3500))
        return [
            [0, 0x50] + [UInt8](repeating: 0, count: 7) + record(2, need)
                + record(0, payload { attributes.write(to: &$0) }),
            [0, 0x51] + [UInt8](repeating: 1, count: 7) + record(1, entry)
                + record(0, [1] + payload { $0.add(UInt64(5)) }),
            [0, 0x52] + [UInt8](repeating: 2, count: 7) + record(0, [1, 3, 0] + "a/b".utf8) + record(3, failure),
            [0, 3] + [UInt8](repeating: 3, count: 7) + record(1, stream) + record(0, []) + record(0, stream)
                + record(0, [1, 2, 3, 4]),
            [0, 5] + [UInt8](repeating: 5, count: 7) + record(0, content) + read + record(0, content),
            [1, 5] + [UInt8](repeating: 5, count: 7) + record(8, opened) + record(1, content) + record(0, []) + read,
            [0, 5] + [UInt8](repeating: 5, count: 7) + record(0, endless),
            [3, 5] + [UInt8](repeating: 5, count: 7) + record(0x82, [16, 0xFF, 0xFF, 0x1F, 0]),
        ]
    }
}
