internal import BlockDevice
internal import ByteIO
internal import TestSupport
internal import VHDFormat

extension FuzzTarget {
    /// VHD: options 1 footer checksums, 2 header checksum, 4 the copy is as the footer.
    public static let vhd = FuzzTarget(name: "vhd") { content, options in
        mendVHD(&content, options)
    } open: { (file, isWritable) throws(DiskError) in
        try VHDImage.open(file, options: VHDOpenOptions(writable: isWritable))
    } check: { (file) throws(DiskError) in
        try VHDImage.check(file)
    } judge: { content in
        // It takes no number for what can't be.
        guard (try? VHDImage.open(MemoryFile(content))) != nil else { return nil }
        guard let reference = try? ReferenceVHD(content), reference.blockOffsets.count < 1000 else { return nil }
        return reference.shown()
    } seeds: {
        vhdSeeds()
    }

    private static func vhdSeeds() -> [FuzzInput] {
        // One whose table or bitmaps are long is no good beginning.
        (1...40).map { (seed: UInt64) in
            var random = SeededGenerator(seed: seed)
            let subtype = VHDBuilder.Subtype.allCases[Int(seed) % 3]
            let sizes: [UInt64] = [5000, 40_000, 3 << 20]
            let size = sizes.randomElement(using: &random) ?? 5000
            var builder = VHDBuilder.random(
                subtype,
                size: size,
                blockSizes: [512, 4096, 65536, 0x20_0000],
                using: &random
            )
            // Short descriptions: what a guest has written does not matter.
            builder.disk = SparseBytes(count: builder.size)
            builder.disk.store([1, 2, 3], at: 700)
            builder.staleByte = 0
            if subtype == .differencing { builder.setParent(VHDBuilder(.dynamic, size: size), file: "p.vhd") }
            if seed % 5 == 0, subtype != .fixed {
                (builder.creator, builder.creatorVersion, builder.batmap) = ("tap\0", 0x0001_0003, .good)
            }
            return FuzzInput(builder.build().content, options: 7 | (seed % 2 == 0 ? writes : 0))
        }
        .filter { $0.bytes.count < 8192 }
    }
}

/// Makes checksums good, so that what stands in the fields gets through.
private func mendVHD(_ content: inout SparseBytes, _ options: UInt8) {
    guard content.count >= 512 else { return }
    let place = content.count - 512
    var footer = content[place..<content.count]
    if options & 1 != 0 {
        footer = footer.withVHDChecksum(at: 64)
        content.store(footer, at: place)
        content.store(content[0..<512].withVHDChecksum(at: 64, of: "conectix"), at: 0)
    }
    if options & 4 != 0, footer.starts(with: Array("conectix".utf8)), footer[63] != 2 { content.store(footer, at: 0) }
    guard options & 2 != 0, let header = try? footer.load(UInt64.self, at: 16, .big),
        header <= content.count, content.count - header >= 1024
    else { return }
    content.store(content[header..<header + 1024].withVHDChecksum(at: 36, of: "cxsparse"), at: header)
}

extension [UInt8] {
    fileprivate func withVHDChecksum(at offset: Int, of cookie: String = "conectix") -> [UInt8] {
        guard starts(with: Array(cookie.utf8)) else { return self }
        var bytes = self
        bytes.store(UInt32(0), at: offset, .big)
        bytes.store(~bytes.reduce(into: UInt32(0)) { $0 &+= UInt32($1) }, at: offset, .big)
        return bytes
    }
}
