import TestSupport

/// A random chain of images, and what it shows.
struct ChainBuilder {
    /// The layers, the leaf first.
    var layers: [VHDXBuilder]

    /// Makes a chain of random layers, each of its own geometry; parents may be smaller or larger than their children, unless they
    /// are to be `alike`.
    init(
        depth: Int,
        size: UInt64,
        blockSizes: [UInt32],
        logicalSectorSize: UInt32? = nil,
        alike: Bool = false,
        using random: inout SeededGenerator
    ) {
        let sector: UInt32 = logicalSectorSize ?? [512, 4096].randomElement(using: &random) ?? 512
        let base = [VHDXBuilder.Subtype.fixed, .dynamic, .dynamic].randomElement(using: &random) ?? .dynamic
        func layer(_ subtype: VHDXBuilder.Subtype, _ size: UInt64) -> VHDXBuilder {
            .random(subtype, size: size, blockSizes: blockSizes, logicalSectorSize: sector, using: &random)
        }
        layers = [layer(base, size)]
        while layers.count < depth {
            let sizes = alike ? [size] : [size, size, size * 3 / 4, size * 5 / 4]
            let size = sizes.randomElement(using: &random) ?? size
            var child = layer(.differencing, size)
            child.setParent(layers[0], file: "layer \(depth - layers.count).vhdx")
            layers.insert(child, at: 0)
        }
    }

    /// The names under which children look for their parents.
    var names: [String] { layers.indices.map { "layer \($0).vhdx" } }

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
        layers.enumerated().map { MemoryFile($1.build().content, path: names[$0]) }
    }
}

extension [UInt32] {
    /// Small ones, so that a small disk has many blocks.
    static let small: [UInt32] = [1 << 20, 2 << 20]
    /// Every legal one.
    static let all: [UInt32] = (20...28).map { 1 << $0 }
}

extension TestImages {
    /// The VHDX files among them.
    static let vhdx = entries.filter { $0.format.hasPrefix("VHDX/") }
}
