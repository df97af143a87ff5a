import BlockDevice
import ISOFormat
import TestSupport
import Testing

/// A disc is shown byte for byte and never written (`formats.md` §5.3).
struct ContentTests {
    func device(_ file: any HostFile) throws -> Chain {
        Chain(leaf: try ISOImage.layer(file), isReadOnly: true)
    }

    @Test func aDiscKeepsTheBlockDevicePromises() throws {
        var random = SeededGenerator(seed: 1)
        var builder = ISOBuilder.iso9660(size: 300 * 2048)
        builder.put(random.bytes(200_000), at: 40_000)
        let file = RecordingFile(builder.content)
        try checkConformance(of: device(file), showing: builder.content)
        #expect(file.operationCount == 0)
    }

    @Test(
        arguments: [(81_920, 81_920), (82_432, 82_432), (81_921, 83_968), (83_967, 83_968), (82_431, 83_968)]
            as [(UInt64, UInt64)]
    )
    func anOddLengthIsRoundedUpToWholeSectorsWithZeros(_ length: UInt64, _ size: UInt64) throws {
        let builder = ISOBuilder.iso9660(size: length, claimedSectors: 40, filler: 0x33)
        let device = try device(MemoryFile(builder.content))
        var shown = builder.content
        shown.resize(to: size)
        try checkConformance(of: device, showing: shown)
    }

    @Test func theClaimedSizeIsOnlyAdvice() throws {
        // More sessions than the first descriptor knows of.
        let longer = MemoryFile(ISOBuilder.iso9660(size: 522 * 2048, claimedSectors: 174).content)
        #expect(try device(longer).size == 522 * 2048)
        #expect(try #require(try ISOImage.recognize(longer)).warnings.isEmpty)
        let shorter = MemoryFile(ISOBuilder.iso9660(size: 40 * 2048, claimedSectors: 41).content)
        #expect(try device(shorter).size == 40 * 2048)
        #expect(try !#require(try ISOImage.recognize(shorter)).warnings.isEmpty)
    }

    @Test func aFileThatBecameShortGivesErrorsNeverZeros() throws {
        let file = MemoryFile(ISOBuilder.iso9660(filler: 0x33).content)
        let device = try device(file)
        try file.truncate(to: 70_000)
        #expect(throws: DiskError.self) { try device.contents(69_000..<71_000) }
    }

    @Test(
        .enabled(if: TestImages.areThere, "the test images are not there"),
        arguments: TestImages.entries.filter { $0.format.hasPrefix("ISO") }
    )
    func realDiscsHaveTheHashOfTheManifest(_ image: TestImages.Entry) throws {
        let content = try withScratchFolder { try readFile(TestImages.unpack(image.name, into: $0)) }
        let device = try device(MemoryFile(content))
        #expect(device.size == image.virtualSize)
        #expect(try sha256(of: device.contents(0..<device.size)) == image.diskHash)
    }
}
