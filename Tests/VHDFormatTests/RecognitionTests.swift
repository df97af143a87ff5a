import BlockDevice
import TestSupport
import Testing
import VHDFormat

/// What a file is, is decided by structures that a guest can't write (`formats.md` §1).
struct RecognitionTests {
    static let fixed = DamagedFooterTests.fixed
    static let dynamic = DamagedFooterTests.dynamic

    func recognize(_ builder: VHDBuilder, change: (inout VHDBuilder) -> Void = { _ in }) throws -> VHDImage.Recognition
    {
        var builder = builder
        change(&builder)
        let file = RecordingFile(builder.build().content)
        defer { #expect(file.operationCount == 0) }
        return try VHDImage.recognize(file)
    }

    @Test func aGoodTailIsEnough() throws {
        #expect(try recognize(Self.fixed) == .tail)
        #expect(try recognize(Self.dynamic) == .tail)
        #expect(try recognize(Self.dynamic) { $0.hasFooterCopy = false } == .tail)
        #expect(try recognize(Self.dynamic) { $0.edit(.copy, .tail, at: 60, UInt32(6)) } == .tail)
    }

    @Test func substitutesComeSecond() throws {
        #expect(try recognize(Self.fixed) { $0.footerLength = 511 } == .substitute)
        #expect(try recognize(Self.dynamic) { $0.footerLength = 511 } == .substitute)
        #expect(try recognize(Self.dynamic) { $0.hasFooter = false } == .substitute)
        #expect(try recognize(Self.dynamic) { $0.junkAfterFooter = [1, 2, 3] } == .substitute)
    }

    @Test func cookiesThatCannotBeTrustedAreDamage() throws {
        #expect(try recognize(Self.fixed) { $0.edit(.tail, at: 64, UInt32(0), fixesChecksum: false) } == .damaged)
        #expect(
            try recognize(Self.dynamic) { $0.edit(.copy, .tail, at: 64, UInt32(0), fixesChecksum: false) } == .damaged
        )
        #expect(
            try recognize(Self.dynamic) {
                $0.hasFooter = false
                $0.edit(.header, at: 36, UInt32(0), fixesChecksum: false)
            } == .damaged
        )
    }

    @Test func aGuestCannotMakeARawDiskAVHD() throws {
        // A fixed footer, or a dynamic one without its header, written into sector 0 of a raw disk.
        var disk = SparseBytes([UInt8](repeating: 0x33, count: 40_960))
        #expect(try VHDImage.recognize(MemoryFile(disk)) == .none)
        disk.store(Self.fixed.footer(.copy), at: 0)
        #expect(try VHDImage.recognize(MemoryFile(disk)) == .damaged)
        disk.store(Self.dynamic.footer(.copy), at: 0)
        #expect(try VHDImage.recognize(MemoryFile(disk)) == .damaged)
    }

    @Test(arguments: [0, 1, 510, 511, 512, 1024] as [UInt64])
    func shortFilesAreNothing(_ length: UInt64) throws {
        #expect(try VHDImage.recognize(MemoryFile(SparseBytes(count: length))) == .none)
    }
}
