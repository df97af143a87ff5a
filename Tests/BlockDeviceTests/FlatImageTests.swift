import BlockDevice
import TestSupport
import Testing

/// Disks whose bytes stand in the file one after the other.
struct FlatImageTests {
    @Test(arguments: [true, false])
    func keepsTheBlockDevicePromises(_ isReadOnly: Bool) throws {
        let content = ConformanceTests.content()
        let file = MemoryFile(content)
        let image = FlatImage(file, size: content.count, storedBytes: content.count)
        let device = Chain(leaf: image, isReadOnly: isReadOnly)
        let expected = try checkConformance(of: device, showing: content)
        try device.finish()
        #expect(file.content == expected)
    }

    @Test func whatTheFileDoesNotHoldIsZeroAndCannotBeWritten() throws {
        let file = MemoryFile(SparseBytes([UInt8](repeating: 7, count: 700)))
        let device = Chain(leaf: FlatImage(file, size: 2048, storedBytes: 700), isReadOnly: false)
        var shown = SparseBytes([UInt8](repeating: 7, count: 700))
        shown.resize(to: 2048)
        try DiskModel(shown).check(device)
        try device.store([1, 2], at: 698)
        #expect(throws: DiskError.self) { try device.store([1, 2], at: 699) }
        #expect(throws: DiskError.self) { try device.store([1], at: 2047) }
        #expect(file.content.count == 700)
        shown.store([1, 2], at: 698)
        try DiskModel(shown).check(0..<699, of: device)
        try DiskModel(shown).check(700..<2048, of: device)
    }

    @Test func bytesBehindTheDiskAreNeverTouched() throws {
        let file = MemoryFile(SparseBytes([UInt8](repeating: 7, count: 3000)))
        let device = Chain(leaf: FlatImage(file, size: 2048, storedBytes: 3000), isReadOnly: false)
        try device.zero(0..<2048)
        try device.store([UInt8](repeating: 1, count: 2048), at: 0)
        try device.finish()
        #expect(file.content[2048..<3000] == [UInt8](repeating: 7, count: 952))
    }

    @Test func aFailedSyncIsRemembered() throws {
        let faulty = FaultyFile(MemoryFile(SparseBytes(count: 4096)), failing: .synchronize, number: 0)
        let device = Chain(leaf: FlatImage(faulty, size: 4096, storedBytes: 4096), isReadOnly: false)
        try device.store([1], at: 0)
        #expect(throws: DiskError.self) { try device.synchronize() }
        #expect(throws: DiskError.self) { try device.synchronize() }
        #expect(throws: DiskError.self) { try device.store([2], at: 0) }
        #expect(throws: DiskError.self) { try device.zero(0..<512) }
        #expect(try device.contents(0..<1) == [1])
    }

    /// A request that is larger than any disk is an error like others.
    @Test func absurdRangesAreRefused() async {
        await #expect(processExitsWith: .success) {
            let device = Chain(
                leaf: FlatImage(MemoryFile(SparseBytes(count: 4096)), size: 4096, storedBytes: 4096),
                isReadOnly: false
            )
            #expect(throws: DiskError.self) { try device.zero(0 ..< .max) }
            #expect(throws: DiskError.self) { try device.zero(1 << 62 ..< .max - 3) }
        }
    }
}
