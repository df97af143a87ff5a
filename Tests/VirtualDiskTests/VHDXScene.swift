import TestSupport

extension AttachScene {
    /// Writes a sound VHDX of 4 MiB in blocks of 1 MiB, the second of which begins with 4096 bytes of `fill`.
    @discardableResult
    func makeVHDX(
        _ name: String,
        _ subtype: VHDXBuilder.Subtype = .dynamic,
        fill: UInt8 = 1,
        change: (inout VHDXBuilder) -> Void = { _ in }
    ) throws -> VHDXBuilder {
        var builder = VHDXBuilder.small(subtype, fill: fill)
        change(&builder)
        try scratch.write(builder.build().content, to: name)
        return builder
    }
}

extension VHDXBuilder {
    static let blockBytes: UInt64 = 1 << 20

    /// 4 MiB in blocks of 1 MiB, the second of which begins with 4096 bytes of `fill`; the DataWriteGuid too is made of it.
    static func small(_ subtype: Subtype = .dynamic, fill: UInt8 = 1) -> VHDXBuilder {
        var disk = SparseBytes(count: 4 * blockBytes)
        disk.store([UInt8](repeating: fill, count: 4096), at: blockBytes)
        var builder = VHDXBuilder(subtype, disk: disk, blockSize: UInt32(blockBytes))
        builder.dataWriteGUID = [UInt8](repeating: fill, count: 16)
        return builder
    }

    /// An empty child of `parent` with these keys in its parent locator; `parent_linkage` is there by itself unless it is given.
    static func child(of parent: VHDXBuilder, fill: UInt8 = 200, _ pairs: Pair...) -> VHDXBuilder {
        var builder = VHDXBuilder(.differencing, size: parent.size, blockSize: parent.blockSize)
        builder.logicalSectorSize = parent.logicalSectorSize
        builder.virtualDiskID = parent.virtualDiskID
        builder.dataWriteGUID = [UInt8](repeating: fill, count: 16)
        builder.parentPairs =
            [
                Pair("parent_linkage", "{\(guidText(parent.dataWriteGUID))}"),
                // As Hyper-V writes it into every child.
                Pair("parent_linkage2", "{00000000-0000-0000-0000-000000000000}"),
            ] + pairs
        return builder
    }
}

extension VHDXBuilder.Pair {
    static func relative(_ path: String) -> Self { Self("relative_path", path) }
    static func absolute(_ path: String) -> Self { Self("absolute_win32_path", path) }
    static func volume(_ path: String) -> Self { Self("volume_path", path) }
}
