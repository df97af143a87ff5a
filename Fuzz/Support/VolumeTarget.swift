internal import BlockDevice
internal import ByteIO
internal import FileSystem
internal import ISO9660
internal import PartitionTables
internal import TestSupport
internal import UDF
internal import Volumes

/// A reader of volumes as a fuzzer sees it: opening and walking over everything ends, what is told is bounded, and twice the same.
public struct VolumeTarget: FuzzedDisk {
    public let name: String
    let mend: @Sendable (inout SparseBytes, UInt8) -> Void
    let look: @Sendable (MemoryDevice) throws(FuzzFailure) -> [String]
    public let seeds: @Sendable () -> [FuzzInput]

    public func run(_ bytes: [UInt8]) throws(FuzzFailure) {
        var input = FuzzInput(bytes)
        mend(&input.content, input.options)
        let device = MemoryDevice(input.content, isReadOnly: true)
        let first = try look(device)
        try FuzzFailure.unless(try look(device) == first, "two looks see different things")
    }

    private static let objectLimit = 2000

    /// All names with their attributes, and the beginnings of all files.
    private static func walk(_ volume: any VolumeReader) throws(FuzzFailure) -> [String] {
        var folders = [volume.root]
        var seen: Set<FileID> = []
        var lines: [String] = []
        while let id = folders.popLast(), lines.count < objectLimit {
            guard seen.insert(id).inserted, let folder = try? volume.folder(id) else { continue }
            for entry in folder.entries.prefix(objectLimit) {
                try FuzzFailure.unless(entry.file.isValid, "file \(entry.file.rawValue) has too many bits")
                if entry.kind == .directory { folders.append(entry.file) }
                let attributes = try? volume.attributes(of: entry.file)
                let target = try? volume.linkTarget(of: entry.file)
                let streams = (try? volume.extendedAttributes(of: entry.file)) ?? []
                let name = ShownName.shown(folder.name(of: entry))
                lines.append("\(name) \(String(describing: attributes)) \(String(describing: target)) \(streams)")
                guard let file = try? volume.open(entry.file), file.size > 0 else { continue }
                for offset in [0, file.size / 2, file.size - 1] {
                    var bytes = [UInt8](repeating: 0, count: Int(min(file.size - offset, 3000)))
                    let result: Void? = try? bytes.withMutableBytes { (span) throws(VolumeError) in
                        try file.read(into: &span, at: offset)
                    }
                    lines.append(result == nil ? "unreadable" : "\(bytes.reduce(0) { $0 &* 31 &+ UInt64($1) })")
                    let run = try? file.allocation(at: offset, limit: file.size)
                    try FuzzFailure.unless(run.map { $0.end > offset } ?? true, "a run that goes nowhere")
                }
            }
        }
        return lines
    }

    static let iso9660 = VolumeTarget(name: "iso9660") { _, _ in
    } look: { (device) throws(FuzzFailure) in
        guard let volume = try? ISO9660Volume(device) else { return [] }
        return try walk(volume) + ["\(volume.isStub)"]
    } seeds: {
        let image = ISOBuilder.iso9660()
        return [FuzzInput(image.content, options: 0)]
    }

    static let udf = VolumeTarget(name: "udf") { content, options in
        if options & 1 != 0 { mendTags(&content) }
    } look: { (device) throws(FuzzFailure) in
        guard let volume = try? UDFVolume(device) else { return [] }
        return try walk(volume)
    } seeds: {
        UDFBuilder.Medium.allCases.map { medium in
            var builder = UDFBuilder(medium, blockSize: 512, isExtended: medium == .metadata)
            builder.build([
                UDFBuilder.File("a", [UInt8](repeating: 1, count: 700)), UDFBuilder.File("e", [1, 2], .embedded),
                UDFBuilder.File("l", [UInt8](repeating: 2, count: 6000), .long, isFragmented: true),
            ])
            return FuzzInput(builder.image, options: 1)
        }
    }

    static let partitions = VolumeTarget(name: "partitions") { _, _ in
    } look: { (device) throws(FuzzFailure) in
        var lines = ["\(String(describing: try? VolumeIdentity.identify(device)))"]
        guard let table = try? PartitionTable.read(device, logicalSectorSize: 512) else { return lines }
        let offered = table.partitions.filter { $0.problem == nil }
        for partition in offered {
            try FuzzFailure.unless(
                !partition.range.isEmpty && partition.range.upperBound <= device.size,
                "partition \(partition.number) at \(partition.range) does not lie on the disk"
            )
            let others = offered.filter { $0.number != partition.number && $0.range.overlaps(partition.range) }
            try FuzzFailure.unless(others.isEmpty, "partition \(partition.number) overlaps others that are offered")
        }
        lines.append("\(table)")
        return lines
    } seeds: {
        var disk = SparseBytes(count: 4 << 20)
        func entry(_ type: UInt8, _ start: UInt32, _ count: UInt32) -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: 16)
            bytes[4] = type
            bytes.store(start, at: 8, .little)
            bytes.store(count, at: 12, .little)
            return bytes
        }
        disk.store(entry(7, 63, 100) + entry(5, 1000, 3000) + entry(0x83, 500, 100), at: 446)
        disk.store(entry(0x83, 63, 100) + entry(5, 500, 200), at: 1000 * 512 + 446)
        disk.store(entry(0x83, 63, 100), at: 1500 * 512 + 446)
        for sector: UInt64 in [0, 1000, 1500] { disk.store([0x55, 0xAA], at: sector * 512 + 510) }
        return [FuzzInput(disk, options: 0)]
    }

    /// Makes the checksums of all tags right, so that damage gets behind them.
    private static func mendTags(_ content: inout SparseBytes) {
        var tags: [UInt64] = []
        content.forEachStoredPage { offset, page in
            for place in stride(from: 0, to: page.count - 15, by: 512) {
                let id = UInt16(page[place]) | UInt16(page[place + 1]) << 8
                if (1...9).contains(id) || (256...266).contains(id) { tags.append(offset + UInt64(place)) }
            }
        }
        for place in tags where place + 512 <= content.count {
            var tag = content[place..<place + 16]
            let length = (try? tag.load(UInt16.self, at: 10, .little)) ?? 0
            let end = place + 16 + UInt64(length)
            guard length <= 4096, end <= content.count else { continue }
            var crc: UInt16 = 0
            for byte in content[place + 16..<end] {
                crc ^= UInt16(byte) << 8
                for _ in 0..<8 { crc = crc & 0x8000 != 0 ? crc << 1 ^ 0x1021 : crc << 1 }
            }
            tag.store(crc, at: 8, .little)
            tag[4] = 0
            tag[4] = tag.reduce(0, &+)
            content.store(tag, at: place)
        }
    }
}
