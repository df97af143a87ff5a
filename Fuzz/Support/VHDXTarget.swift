internal import BlockDevice
internal import ByteIO
internal import TestSupport
internal import VHDXFormat

extension FuzzTarget {
    /// VHDX: options 1 header checksums, 2 region table checksums, 4 log entry checksums, 8 the numbers and GUIDs that must agree in the
    /// log.
    public static let vhdx = FuzzTarget(name: "vhdx") { content, options in
        mendVHDX(&content, options)
    } open: { (file, isWritable) throws(DiskError) in
        try VHDXImage.open(file, options: VHDXOpenOptions(isWritable: isWritable, checkpointDelay: nil))
    } check: { (file) throws(DiskError) in
        try VHDXImage.check(file)
    } judge: { content in
        guard content.count < 1 << 40, let reference = try? ReferenceVHDX(content), reference.blocks.count < 100 else {
            return nil
        }
        // It knows no limit to how long a log may make the file; the provider does.
        return reference.content.count <= 1 << 47 ? reference.shown() : nil
    } seeds: {
        vhdxSeeds()
    }

    private static func vhdxSeeds() -> [FuzzInput] {
        // One whose log or bitmaps are long is no good beginning.
        (1...40).map { (seed: UInt64) in
            var random = SeededGenerator(seed: seed)
            let subtype = VHDXBuilder.Subtype.allCases[Int(seed) % 3]
            let sizes: [UInt64] = [8192, 3 << 20, 9 << 20]
            let size = sizes.randomElement(using: &random) ?? 8192
            var builder = VHDXBuilder.random(subtype, size: size, blockSizes: [1 << 20, 2 << 20], using: &random)
            // Short descriptions: what a guest has written does not matter.
            builder.disk = SparseBytes(count: builder.size)
            builder.disk.store([1, 2, 3], at: 700)
            builder.staleByte = 0
            builder.hasStaleBits = false
            if subtype == .differencing { builder.setParent(VHDXBuilder(.dynamic, size: size), file: "p.vhdx") }
            if seed % 4 == 0 { builder.hideEverything(using: &random) }
            return FuzzInput(builder.build().content, options: 15 | (seed % 2 == 0 ? writes : 0))
        }
        .filter { $0.bytes.count < 8192 }
    }
}

/// Makes checksums good, so that what stands in the fields gets through.
private func mendVHDX(_ content: inout SparseBytes, _ options: UInt8) {
    if options & 1 != 0 {
        for place: UInt64 in [64 << 10, 128 << 10] { content.mend("head", at: place, count: 4096) }
    }
    if options & 2 != 0 {
        for place: UInt64 in [192 << 10, 256 << 10] { content.mend("regi", at: place, count: 65536) }
    }
    guard options & 12 != 0 else { return }
    // The log of the header that counts, if anything does.
    let headers = [UInt64(64 << 10), 128 << 10].map { content[$0..<$0 + 4096] }.filter {
        $0.starts(with: Array("head".utf8))
    }
    let newest = headers.max { Log.number($0, 8) < Log.number($1, 8) }
    guard let newest, var log = Log(newest, fileSize: content.count) else { return }
    log.mend(&content, options)
}

/// The entries of a log as they are made, right or not.
private struct Log {
    private static let sector: UInt64 = 4096

    private let guid: [UInt8]
    private let start: UInt64
    private let length: UInt64

    init?(_ header: [UInt8], fileSize: UInt64) {
        guid = Array(header[48..<64])
        start = Self.number(header, 72)
        length = UInt64(UInt32(truncatingIfNeeded: Self.number(header, 68)))
        guard length > 0, length <= 16 << 20, length % Self.sector == 0, start < fileSize, fileSize - start >= length
        else { return nil }
    }

    static func number(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
        (try? bytes.load(UInt64.self, at: offset, .little)) ?? 0
    }

    mutating func mend(_ content: inout SparseBytes, _ options: UInt8) {
        var mended = 0
        for position in stride(from: 0, to: length, by: Int(Self.sector)) where mended < 64 {
            let head = content[start + position..<start + position + 64]
            let count = UInt64(UInt32(truncatingIfNeeded: Self.number(head, 8)))
            guard head.starts(with: Array("loge".utf8)), count >= Self.sector, count <= min(length, 1 << 20) else {
                continue
            }
            mended += 1
            let first = min(count, length - position)
            var entry =
                content[start + position..<start + position + first] + content[start..<start + (count - first)]
            if options & 8 != 0 { agree(&entry) }
            if options & 4 != 0 { entry.store(entry.crc32c(checksumAt: 4), at: 4, .little) }
            content.store(Array(entry.prefix(Int(first))), at: start + position)
            content.store(Array(entry.dropFirst(Int(first))), at: start)
        }
    }

    /// Writes the sequence number into all parts of an entry.
    private func agree(_ entry: inout [UInt8]) {
        entry.store(guid, at: 32)
        let sequence = Self.number(entry, 16)
        let claimed = Int(UInt32(truncatingIfNeeded: Self.number(entry, 24)))
        let descriptors = min(claimed, (entry.count - 64) / 32)
        for index in 0..<descriptors { entry.store(sequence, at: 64 + 32 * index + 24, .little) }
        let first = (64 + 32 * descriptors + 4095) / 4096 * 4096
        for place in stride(from: first, to: entry.count - 4095, by: 4096) {
            entry.store(UInt32(sequence >> 32), at: place + 4, .little)
            entry.store(UInt32(truncatingIfNeeded: sequence), at: place + 4092, .little)
        }
    }
}

extension SparseBytes {
    /// Writes the checksum of a structure that has its signature.
    fileprivate mutating func mend(_ signature: String, at offset: UInt64, count: UInt64) {
        guard self.count >= offset + count else { return }
        var bytes = self[offset..<offset + count]
        guard bytes.starts(with: Array(signature.utf8)) else { return }
        bytes.store(bytes.crc32c(checksumAt: 4), at: 4, .little)
        store(Array(bytes.prefix(8)), at: offset)
    }
}
