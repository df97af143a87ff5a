import TestSupport

/// Small images for the tests of writers: ten blocks of 4 KiB.
protocol WriterFixtures {}

extension WriterFixtures {
    static var block: UInt64 { 4096 }

    /// A disk of ten blocks of which some are full.
    func image(_ subtype: VHDBuilder.Subtype, full blocks: [UInt64], byte: UInt8 = 0x77) -> VHDBuilder {
        var disk = SparseBytes(count: 10 * Self.block)
        for block in blocks { disk.store([UInt8](repeating: byte, count: Int(Self.block)), at: block * Self.block) }
        return VHDBuilder(subtype, disk: disk, blockSize: UInt32(Self.block))
    }

    func child(full blocks: [UInt64], of parent: VHDBuilder) -> VHDBuilder {
        var child = image(.differencing, full: blocks, byte: 0x22)
        child.setParent(parent, file: "parent.vhd")
        return child
    }
}
