import BlockDevice
import TestSupport
import Testing

/// A device in memory with one fault that a user would notice.
private final class WrongDevice: BlockDevice {
    enum Fault: CaseIterable {
        case offByOne, growsAtTheEnd, writesReadOnly, forgetsTheLastByte, hidesHoles, zeroesTooMuch
    }

    let inner: MemoryDevice
    let fault: Fault

    init(_ content: SparseBytes, _ fault: Fault) {
        self.fault = fault
        inner = MemoryDevice(content)
    }

    var size: UInt64 { inner.size }
    var isReadOnly: Bool { fault == .writesReadOnly }

    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(DiskError) {
        try inner.read(into: &buffer, at: fault == .offByOne && offset == 512 ? 513 : offset)
    }

    func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) {
        if fault == .growsAtTheEnd, offset == size { return }
        let count = fault == .forgetsTheLastByte ? max(bytes.byteCount - 1, 0) : bytes.byteCount
        try inner.write(bytes.extracting(first: count), at: offset)
    }

    func zero(_ range: Range<UInt64>) throws(DiskError) {
        let end = fault == .zeroesTooMuch ? min(size, range.upperBound + 511) / 512 * 512 : range.upperBound
        try inner.zero(range.lowerBound..<max(range.upperBound, end))
    }

    func synchronize() throws(DiskError) {}

    func allocation(at offset: UInt64, limit: UInt64) throws(DiskError) -> HostAllocation {
        fault == .hidesHoles
            ? HostAllocation(isData: false, end: min(limit, size)) : try inner.allocation(at: offset, limit: limit)
    }

    func usage() throws(DiskError) -> HostUsage { try inner.usage() }
}

struct ConformanceTests {
    static func content() -> SparseBytes {
        var random = SeededGenerator(seed: 7)
        var content = SparseBytes(count: 300_001)
        content.store(random.bytes(50_000), at: 0)
        content.store(random.bytes(50_000), at: 200_123)
        return content
    }

    @Test(arguments: [true, false])
    func aDiskInMemoryKeepsAllPromises(_ isReadOnly: Bool) throws {
        let device = MemoryDevice(Self.content(), isReadOnly: isReadOnly)
        let expected = try checkConformance(of: device, showing: Self.content())
        #expect(device.content == expected)
    }

    @Test(arguments: WrongDevice.Fault.allCases)
    private func theSuiteNoticesAWrongDevice(_ fault: WrongDevice.Fault) throws {
        #expect(throws: TestSupportError.self) {
            try checkConformance(of: WrongDevice(Self.content(), fault), showing: Self.content())
        }
    }
}
