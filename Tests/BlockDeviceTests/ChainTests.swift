import BlockDevice
import TestSupport
import Testing

/// Layers that know only their own pieces make one disk.
struct ChainTests {
    /// A layer with a fixed map: every `unit` bytes one letter, `f` in the file, `z` zeros, `p` the parent's.
    private final class MappedLayer: ImageLayer {
        static let unit: UInt64 = 100
        let file: FailStopFile
        let map: [Character]
        let longest: UInt64

        init(_ map: String, byte: UInt8, longest: UInt64 = .max) {
            self.map = Array(map)
            self.longest = longest
            let bytes = [UInt8](repeating: byte, count: map.count * Int(Self.unit))
            file = FailStopFile(MemoryFile(SparseBytes(bytes)))
        }

        var size: UInt64 { UInt64(map.count) * Self.unit }

        func extent(at offset: UInt64, limit: UInt64) throws(DiskError) -> Extent {
            let slot = offset / Self.unit
            let count = min(limit, longest, (slot + 1) * Self.unit - offset)
            return switch map[Int(slot)] {
            case "f": Extent(.file(offset: offset), count: count)
            case "z": Extent(.zero, count: count)
            default: Extent(.parent, count: count)
            }
        }
    }

    @Test(arguments: [1, 7, 100, .max] as [UInt64])
    func theFirstLayerThatKnowsAnswers(_ longest: UInt64) throws {
        let layers = [
            MappedLayer("fpzpppp", byte: 1, longest: longest),
            MappedLayer("ffffzp", byte: 2, longest: longest),
            MappedLayer("fffffffff", byte: 3, longest: longest),
        ]
        let chain = Chain(leaf: layers[0], parents: Array(layers[1...]), isReadOnly: false)
        // The last unit lies past the end of the middle layer: zeros, whatever is further below.
        let expected = [1, 2, 0, 2, 0, 3, 0].flatMap { [UInt8](repeating: $0, count: 100) }
        let after = try checkConformance(of: chain, showing: SparseBytes(expected))
        #expect(after.bytes == expected)
        #expect(chain.isReadOnly, "a leaf that can't be written makes the chain read-only")
    }

    @Test func spaceIsThatOfAllLayers() throws {
        let layers = [MappedLayer("fp", byte: 1), MappedLayer("ff", byte: 2)]
        let chain = Chain(leaf: layers[0], parents: [layers[1]], isReadOnly: true)
        #expect(try chain.usage().allocatedBytes > 0)
        #expect(try chain.usage().allocatedBytes <= chain.size)
    }
}
