public import BlockDevice

/// What a disk should hold, kept beside the disk itself while both are changed in the same way.
public struct DiskModel: Sendable {
    /// The bytes that the disk should show.
    public var bytes: SparseBytes

    /// Starts from known bytes.
    public init(_ bytes: SparseBytes) {
        self.bytes = bytes
    }

    /// The size of the disk.
    public var size: UInt64 { bytes.count }

    /// Something to do with a disk.
    public enum Step: Sendable {
        case read(Range<UInt64>)
        case write([UInt8], at: UInt64)
        case zero(Range<UInt64>)
        case synchronize
    }

    /// A random step, reads and writes more often than the others.
    public func randomStep(longest: UInt64, using random: inout SeededGenerator) -> Step {
        let range = random.range(in: size, longest: longest)
        switch UInt8.random(in: 0..<12, using: &random) {
        case 0: return .synchronize
        case 1, 2: return .zero(range)
        case 3: return .write([UInt8](repeating: 0, count: range.count), at: range.lowerBound)
        case 4...7: return .write(random.bytes(range.count), at: range.lowerBound)
        default: return .read(range)
        }
    }

    /// Does a step to the disk and to the model; a read is compared.
    public mutating func perform(_ step: Step, on device: some BlockDevice) throws {
        switch step {
        case .read(let range): try check(range, of: device)
        case .write(let data, let offset):
            try device.store(data, at: offset)
            bytes.store(data, at: offset)
        case .zero(let range):
            try device.zero(range)
            bytes.zero(range)
        case .synchronize: try device.synchronize()
        }
    }

    /// Compares a range of the disk with the model.
    public func check(_ range: Range<UInt64>, of device: some BlockDevice) throws {
        if let index = differingIndex(try device.contents(range), bytes[range]) {
            let offset = range.lowerBound + UInt64(index)
            throw TestSupportError(
                "byte \(offset) (sector \(offset / 512)) read in \(range) is \(try device.contents(offset..<offset + 1)), "
                    + "not \(bytes[offset..<offset + 1])"
            )
        }
    }

    /// Compares the whole disk with the model.
    public func check(_ device: some BlockDevice) throws {
        guard device.size == size else { throw TestSupportError("the disk has \(device.size) bytes, not \(size)") }
        for start in stride(from: 0, to: size, by: 1 << 20) {
            try check(start..<min(size, start + 1 << 20), of: device)
        }
    }
}
