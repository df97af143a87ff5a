public import BlockDevice

/// What every block device promises, checked on one. Throws at the first broken promise.
///
/// A writable device holds other bytes afterwards.
///
/// - Parameters:
///   - device: the device.
///   - content: what it must show.
/// - Returns: what it must show afterwards.
@discardableResult
public func checkConformance(of device: some BlockDevice, showing content: SparseBytes) throws -> SparseBytes {
    var check = Conformance(device: device, model: DiskModel(content))
    try check.reading()
    try check.bounds()
    try check.allocation()
    if device.isReadOnly {
        try check.refusal()
    } else {
        try check.writing()
        try check.zeroing()
        try check.allocation()
    }
    return check.model.bytes
}

private struct Conformance<Device: BlockDevice> {
    let device: Device
    var model: DiskModel
    var size: UInt64 { model.size }

    func reading() throws {
        try model.check(device)
        try model.check(0..<1, of: device)
        try model.check(size - 1..<size, of: device)
        try model.check(0..<0, of: device)
        try model.check(size..<size, of: device)
        for range in oddRanges { try model.check(range, of: device) }
        try require("usage answers") { _ = try device.usage() }
    }

    func bounds() throws {
        try expect(.outOfRange, "a read at the end") { _ = try device.contents(size..<size + 1) }
        try expect(.outOfRange, "a read across the end") { _ = try device.contents(size - 1..<size + 1) }
        try expect(.outOfRange, "a read of the last offset") { _ = try device.contents(.max - 1 ..< .max) }
        guard !device.isReadOnly else { return }
        try expect(.outOfRange, "a write at the end") { try device.store([1], at: size) }
        try expect(.outOfRange, "a write across the end") { try device.store([1, 1], at: size - 1) }
        try expect(.outOfRange, "a write near the last offset") { try device.store([1, 1, 1], at: .max - 1) }
        try expect(.outOfRange, "zeros across the end") { try device.zero(size - 1..<size + 1) }
        try model.check(device)
    }

    func allocation() throws {
        var offset: UInt64 = 0
        while offset < size {
            let run = try device.allocation(at: offset, limit: size)
            guard run.end > offset, run.end <= size else {
                throw TestSupportError("the run at \(offset) ends at \(run.end), the disk at \(size)")
            }
            if !run.isData, SparseBytes(model.bytes[offset..<run.end]) != SparseBytes(count: run.end - offset) {
                throw TestSupportError("the hole \(offset)..<\(run.end) has bytes")
            }
            let limited = try device.allocation(at: offset, limit: offset + 1)
            guard limited.end == offset + 1, limited.isData == run.isData else {
                throw TestSupportError("the run at \(offset), limited to one byte, is \(limited), not a part of \(run)")
            }
            offset = run.end
        }
    }

    func refusal() throws {
        try expect(.readOnly, "a write to a read-only disk") { try device.store([1], at: 0) }
        try expect(.readOnly, "zeros to a read-only disk") { try device.zero(0..<min(size, 512)) }
        try require("a sync of a read-only disk does nothing") { try device.synchronize() }
        try model.check(device)
    }

    mutating func writing() throws {
        var random = SeededGenerator(seed: size)
        try model.perform(.write([], at: 0), on: device)
        try model.perform(.write([], at: size), on: device)
        for range in [0..<1, size - 1..<size] + oddRanges {
            try model.perform(.write(random.bytes(range.count), at: range.lowerBound), on: device)
            try model.check(around(range), of: device)
        }
        try model.perform(.synchronize, on: device)
        try model.check(device)
        let whole = random.bytes(Int(min(size, 1 << 20)))
        try model.perform(.write(whole, at: 0), on: device)
        try model.check(device)
    }

    mutating func zeroing() throws {
        for range in [0..<0, 0..<1, size - 1..<size] + oddRanges {
            try model.perform(.zero(range), on: device)
            try model.check(around(range), of: device)
        }
        try model.perform(.synchronize, on: device)
        try model.perform(.zero(0..<size), on: device)
        try model.check(device)
        try model.perform(.write([1, 2, 3], at: size / 2), on: device)
        try model.perform(.synchronize, on: device)
        try model.check(device)
    }

    // Starts and lengths beside the borders of bytes, sectors, pages and blocks.
    private var oddRanges: [Range<UInt64>] {
        let starts: [UInt64] = [
            0, 1, 511, 512, 513, 4095, 4096, 65535, 1 << 19, (1 << 21) - 1, size / 2, size - min(size, 700),
        ]
        let lengths: [UInt64] = [1, 2, 511, 512, 513, 1024, 4097, 70_000]
        return starts.filter { $0 < size }.flatMap { start in
            lengths.map { start..<min(size, start + $0) }
        }
    }

    private func around(_ range: Range<UInt64>) -> Range<UInt64> {
        range.lowerBound - min(range.lowerBound, 1000)..<min(size, range.upperBound + 1000)
    }

    private func require(_ promise: String, _ body: () throws -> Void) throws {
        do { try body() } catch { throw TestSupportError("\(promise), but: \(error)") }
    }

    private func expect(_ kind: DiskError.Kind, _ what: String, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as DiskError where error.kind == kind {
            return
        } catch {
            throw TestSupportError("\(what) gives \(error), not \(kind)")
        }
        throw TestSupportError("\(what) succeeds instead of failing with \(kind)")
    }
}
