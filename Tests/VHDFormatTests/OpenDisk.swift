import BlockDevice
import ByteIO
import TestSupport
import VHDFormat

/// A chain of VHD files that is open: the one place that knows how the provider opens them.
struct OpenDisk {
    let device: Chain
    let leaf: any VHDLayer

    /// Opens a file above its parents, the nearest first. Parents are never opened for writing.
    init(_ file: any HostFile, parents: some Sequence<MemoryFile> = [], writable: Bool) throws(DiskError) {
        leaf = try VHDImage.open(file, options: VHDOpenOptions(writable: writable))
        var below: [any ImageLayer] = []
        for parent in parents { below.append(try VHDImage.open(parent, options: VHDOpenOptions())) }
        device = Chain(leaf: leaf, parents: below, isReadOnly: !writable)
    }

    /// Opens files, the leaf first.
    init(_ files: [MemoryFile], writable: Bool) throws(DiskError) {
        try self.init(files[0], parents: files.dropFirst(), writable: writable)
    }

    /// What a user should know about the leaf.
    var warnings: [String] { leaf.facts.warnings }

    /// The last writer has gone.
    func finish() throws(DiskError) {
        try device.finish()
    }
}

/// A random chain of images, and what it shows.
struct ChainBuilder {
    /// The layers, the leaf first.
    var layers: [VHDBuilder]

    /// Makes a chain of random layers, each of its own geometry; parents may be smaller or larger than their children.
    init(depth: Int, size: UInt64, blockSizes: [UInt32], using random: inout SeededGenerator) {
        let base = [VHDBuilder.Subtype.fixed, .dynamic, .dynamic].randomElement(using: &random) ?? .dynamic
        layers = [VHDBuilder.random(depth == 1 ? .dynamic : base, size: size, blockSizes: blockSizes, using: &random)]
        while layers.count < depth {
            let size = [size, size, size * 3 / 4, size * 5 / 4].randomElement(using: &random) ?? size
            var child = VHDBuilder.random(.dynamic, size: size, blockSizes: blockSizes, using: &random)
            child.setParent(layers[0], file: "parent \(layers.count).vhd")
            layers.insert(child, at: 0)
        }
    }

    /// What the disk shows.
    var shown: SparseBytes {
        layers.reversed().reduce(nil) { lower, layer in layer.shown(over: lower) } ?? SparseBytes()
    }

    /// What lies below the leaf; nil if nothing does.
    var shownBelow: SparseBytes? {
        layers.dropFirst().reversed().reduce(nil) { lower, layer in layer.shown(over: lower) }
    }

    /// The files, the leaf first.
    func files() -> [MemoryFile] {
        layers.enumerated().map { MemoryFile($1.build().content, path: "layer \($0).vhd") }
    }
}

extension [UInt32] {
    /// Block sizes that images may have which are written.
    static let writable: [UInt32] = [4096, 8192, 65536, 0x8_0000, 0x20_0000, 0x40_0000]
    /// Small ones, so that a small disk has many blocks.
    static let small: [UInt32] = [4096, 8192, 16384]
}
