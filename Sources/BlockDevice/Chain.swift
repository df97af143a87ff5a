internal import ByteIO
public import Platform

/// A virtual disk made of image files: the leaf first, then its parent, and so on. One layer is a chain too.
///
/// Only the leaf is ever written. Past the end of a shorter parent the disk shows zeros.
public final class Chain: BlockDevice, LowerDisk {
    /// The image files, the leaf first.
    public let layers: [any ImageLayer]
    /// The leaf, if it may be written.
    private let leaf: (any WritableImageLayer)?

    public let size: UInt64

    public var isReadOnly: Bool { leaf == nil }

    /// Puts layers on top of each other.
    ///
    /// - Parameters:
    ///   - layer: the leaf, which decides the size.
    ///   - parents: what lies below it, the nearest first.
    ///   - isReadOnly: refuse writes. A leaf whose format can't be written makes the chain read-only by itself.
    public init(leaf layer: any ImageLayer, parents: [any ImageLayer] = [], isReadOnly: Bool) {
        layers = [layer] + parents
        size = layer.size
        leaf = isReadOnly ? nil : layer as? any WritableImageLayer
    }

    // MARK: Reading

    public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(DiskError) {
        try checkRange(offset, UInt64(buffer.byteCount))
        try fill(&buffer, at: offset, from: 0)
    }

    public func readBelow(into buffer: inout MutableRawSpan, at offset: UInt64) throws(DiskError) {
        try fill(&buffer, at: offset, from: 1)
    }

    /// Fills a buffer with what the layers from `index` on show.
    private func fill(_ buffer: inout MutableRawSpan, at offset: UInt64, from index: Int) throws(DiskError) {
        let count = buffer.byteCount
        guard index < layers.count else { return buffer.fillZero(0..<count) }
        let layer = layers[index]
        var done = 0
        while done < count {
            let position = offset + UInt64(done)
            guard position < layer.size else { return buffer.fillZero(done..<count) }
            let extent = try layer.extent(at: position, limit: UInt64(count - done))
            let part = done..<done + Int(extent.count)
            switch extent.place {
            case .file(let fileOffset):
                try buffer.withPart(part) { (bytes) throws(DiskError) in
                    try layer.file.readAll(into: &bytes, at: fileOffset)
                }
            case .zero:
                buffer.fillZero(part)
            case .parent:
                try buffer.withPart(part) { (bytes) throws(DiskError) in
                    try fill(&bytes, at: position, from: index + 1)
                }
            }
            done = part.upperBound
        }
    }

    public func hostBytes(of range: Range<UInt64>) throws(DiskError) -> HostBytes? {
        try checkRange(range.lowerBound, range.upperBound - range.lowerBound)
        var bytes = HostBytes()
        return try gather(range, from: 0, into: &bytes) ? bytes : nil
    }

    /// Adds where a range stands as the layers from `index` on show it; false where it must be read.
    private func gather(
        _ range: Range<UInt64>,
        from index: Int,
        into bytes: inout HostBytes
    ) throws(DiskError) -> Bool {
        var position = range.lowerBound
        while position < range.upperBound {
            let rest = range.upperBound - position
            guard index < layers.count, position < layers[index].size else {
                return bytes.append(HostBytes.Piece(descriptor: nil, offset: 0, count: Int(rest)))
            }
            let layer = layers[index]
            let extent = try layer.extent(at: position, limit: rest)
            let isTaken: Bool
            switch extent.place {
            case .file(let offset):
                guard let file = layer.file.source(of: offset..<offset + extent.count) else { return false }
                isTaken = bytes.append(
                    HostBytes.Piece(descriptor: file.rawValue, offset: offset, count: Int(extent.count))
                )
            case .zero:
                isTaken = bytes.append(HostBytes.Piece(descriptor: nil, offset: 0, count: Int(extent.count)))
            case .parent:
                isTaken = try gather(position..<position + extent.count, from: index + 1, into: &bytes)
            }
            guard isTaken else { return false }
            position += extent.count
        }
        return true
    }

    /// The host's file that is, byte for byte and no byte more, the disk; nil when there is none, or when it may be written to.
    public var plain: Descriptor? {
        guard isReadOnly, layers.count == 1, let layer = layers.first,
            let extent = try? layer.extent(at: 0, limit: size), extent == Extent(.file(offset: 0), count: size),
            let plain = layer.file.plain, (try? plain.size()) == size
        else { return nil }
        return plain
    }

    // MARK: Writing

    public func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) {
        let leaf = try writableLeaf()
        try checkRange(offset, UInt64(bytes.byteCount))
        try leaf.write(bytes, at: offset, below: self)
    }

    public func zero(_ range: Range<UInt64>) throws(DiskError) {
        let leaf = try writableLeaf()
        try checkRange(range.lowerBound, range.upperBound - range.lowerBound)
        guard !range.isEmpty else { return }
        try leaf.zero(range, below: self)
    }

    public func synchronize() throws(DiskError) {
        try leaf?.synchronize()
    }

    /// The last writer has gone; see `WritableImageLayer.finish`.
    public func finish() throws(DiskError) {
        try leaf?.finish()
    }

    /// The attachment has ended: no write that comes late reaches the file.
    public func close() {
        layers[0].file.stop(.closed)
    }

    private func writableLeaf() throws(DiskError) -> any WritableImageLayer {
        guard let leaf else {
            throw DiskError(.readOnly, "the disk is read-only", path: layers[0].file.path)
        }
        return leaf
    }

    // MARK: Space

    public func allocation(at offset: UInt64, limit: UInt64) throws(DiskError) -> HostAllocation {
        try checkRange(offset, 0)
        guard offset < size, limit > offset else { return HostAllocation(isData: false, end: min(limit, size)) }
        return try allocation(at: offset, limit: min(limit, size), from: 0)
    }

    /// A run of data or hole as the layers from `index` on show it. A hole of the host inside an allocated block is a hole too.
    private func allocation(
        at offset: UInt64,
        limit: UInt64,
        from index: Int
    ) throws(DiskError) -> HostAllocation {
        guard index < layers.count, offset < layers[index].size else {
            return HostAllocation(isData: false, end: limit)
        }
        let layer = layers[index]
        let extent = try layer.extent(at: offset, limit: limit - offset)
        let end = offset + extent.count
        switch extent.place {
        case .file(let fileOffset):
            let run = try layer.file.allocation(at: fileOffset, limit: fileOffset + extent.count)
            return HostAllocation(isData: run.isData, end: offset + (run.end - fileOffset))
        case .zero:
            return HostAllocation(isData: false, end: end)
        case .parent:
            return try allocation(at: offset, limit: end, from: index + 1)
        }
    }

    public func usage() throws(DiskError) -> HostUsage {
        var total = try layers[0].file.usage()
        for layer in layers.dropFirst() {
            let (sum, overflow) = total.allocatedBytes.addingReportingOverflow(try layer.file.usage().allocatedBytes)
            total.allocatedBytes = overflow ? .max : sum
        }
        total.allocatedBytes = min(total.allocatedBytes, size)
        return total
    }

    private func checkRange(_ offset: UInt64, _ count: UInt64) throws(DiskError) {
        let (end, overflow) = offset.addingReportingOverflow(count)
        guard !overflow, end <= size else {
            throw DiskError(
                .outOfRange,
                "a request for \(count) bytes at offset \(offset) reaches past the end of the disk at \(size)",
                path: layers[0].file.path
            )
        }
    }
}
