import BlockDevice
import TestSupport
import Testing
import VHDXFormat

/// A VHDX is known by its first bytes, and by nothing else (`formats.md` §1).
struct RecognitionTests {
    @Test func byItsFirstEightBytes() throws {
        var file = VHDXBuilder.base().build().content
        #expect(try VHDXImage.recognize(MemoryFile(file)))
        file.store([0], at: 0)
        #expect(try !VHDXImage.recognize(MemoryFile(file)))
        file.store(Array("vhdxfild".utf8), at: 0)
        #expect(try !VHDXImage.recognize(MemoryFile(file)))
    }

    @Test func damageBehindThemDoesNotMatter() throws {
        var file = SparseBytes(count: 8 << 20)
        file.store(Array("vhdxfile".utf8), at: 0)
        #expect(try VHDXImage.recognize(MemoryFile(file)))
        let error = #expect(throws: DiskError.self) { try OpenDisk(MemoryFile(file), writable: false) }
        #expect(error?.kind == .fileCorrupt)
    }

    @Test(arguments: [0, 1, 7, 8, 512] as [UInt64])
    func shortFilesAreNothing(_ length: UInt64) throws {
        var file = SparseBytes(Array("vhdxfile".utf8))
        file.resize(to: length)
        #expect(try !VHDXImage.recognize(MemoryFile(file)))
    }
}
