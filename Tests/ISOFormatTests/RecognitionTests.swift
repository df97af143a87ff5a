import BlockDevice
import ISOFormat
import TestSupport
import Testing

/// A disc image is recognised by its descriptors, wherever the standards let them be (`formats.md` §5.1), and by nothing else.
struct RecognitionTests {
    struct Disc: CustomTestStringConvertible {
        var testDescription: String
        var builder: ISOBuilder

        init(_ name: String, _ builder: ISOBuilder, change: (inout ISOBuilder) -> Void = { _ in }) {
            testDescription = name
            self.builder = builder
            change(&self.builder)
        }
    }

    static let discs: [Disc] = [
        Disc("ISO 9660", .iso9660()),
        Disc("ISO 9660 among other bytes", .iso9660(filler: 0x11)),
        Disc("boot record first", ISOBuilder()) {
            $0.descriptor("CD001", type: 0, slot: 0)
            $0.descriptor("CD001", type: 1, slot: 1)
            $0.descriptor("CD001", type: 255, slot: 2)
        },
        Disc("supplementary descriptor first", ISOBuilder()) {
            $0.descriptor("CD001", type: 2, slot: 0)
            $0.descriptor("CD001", type: 1, slot: 1)
            $0.descriptor("CD001", type: 255, slot: 2)
        },
        Disc("High Sierra", .highSierra()),
        Disc("UDF, NSR02", .udf()),
        Disc("UDF, NSR03", .udf(version: "NSR03")),
        Disc("UDF, 4096-byte spacing", .udf(spacing: 4096)),
        Disc("UDF, NSR03, 4096-byte spacing", .udf(spacing: 4096, version: "NSR03")),
        Disc("UDF behind empty descriptors", .udf(firstSlot: 2)),
        Disc("UDF with a boot descriptor", ISOBuilder(size: 300 * 2048)) {
            for (slot, name) in ["BEA01", "BOOT2", "NSR02", "TEA01"].enumerated() {
                $0.descriptor(name, slot: UInt64(slot))
            }
        },
        Disc("bridge: UDF behind the terminator", .iso9660()) {
            for (slot, name) in ["BEA01", "NSR02", "TEA01"].enumerated() { $0.descriptor(name, slot: UInt64(slot + 2)) }
        },
        Disc("hybrid with a boot sector", .iso9660()) { $0.put([0x55, 0xAA], at: 510) },
        Disc("hybrid with GPT", .iso9660()) { $0.put(Array("EFI PART".utf8), at: 512) },
        Disc("hybrid with an Apple map", .iso9660()) {
            $0.put(Array("ER".utf8), at: 0)
            $0.put(Array("PM".utf8), at: 512)
        },
        Disc("hybrid with an HFS volume", .iso9660()) { $0.put([0x42, 0x44], at: 1024) },
    ]

    static let others: [Disc] = [
        Disc("an empty file", ISOBuilder(size: 0)),
        Disc("zeros", ISOBuilder()),
        Disc("a file that ends before its descriptor", ISOBuilder(size: 32768)),
        Disc("CD001 one byte too early", ISOBuilder()) { $0.put(Array("CD001".utf8), at: 32768) },
        Disc("CD001 one sector too early", ISOBuilder()) { $0.put([1] + Array("CD001".utf8), at: 32768 - 2048) },
        Disc("CD002", ISOBuilder()) { $0.descriptor("CD002", type: 1, slot: 0) },
        Disc("BEA01 and TEA01 without NSR", ISOBuilder()) {
            $0.descriptor("BEA01", slot: 0)
            $0.descriptor("TEA01", slot: 1)
        },
        Disc("a guest's disk with CD001 in a file", ISOBuilder(size: 1 << 20, filler: 0x20)) {
            $0.put(Array("CD001".utf8), at: 700_001)
        },
    ]

    @Test(arguments: discs)
    func isRecognised(_ disc: Disc) throws {
        let file = RecordingFile(disc.builder.content)
        let facts = try #require(try ISOImage.recognize(file))
        #expect(!facts.subtype.isEmpty)
        #expect(facts.warnings.isEmpty)
        #expect(file.operationCount == 0)
    }

    @Test(arguments: others)
    func isNotRecognised(_ disc: Disc) throws {
        #expect(try ISOImage.recognize(MemoryFile(disc.builder.content)) == nil)
    }

    static let foreign: [Disc] = [
        Disc("raw sectors of 2352 bytes", .rawSectors()),
        Disc("Nero image", ISOBuilder(size: 100_000)) {
            $0.put(Array("NER5".utf8) + [0, 0, 0, 0, 0, 0, 0, 1], at: 100_000 - 12)
        },
        Disc("Apple disk image", ISOBuilder(size: 100_000)) { $0.put(Array("koly".utf8), at: 100_000 - 512) },
        Disc("CISO", ISOBuilder(size: 100_000)) { $0.put(Array("CISO".utf8), at: 0) },
        Disc("IsZ", ISOBuilder(size: 100_000)) { $0.put(Array("IsZ!".utf8), at: 0) },
    ]

    @Test(arguments: foreign)
    func otherContainersAreRefusedByName(_ disc: Disc) throws {
        do {
            let facts = try ISOImage.recognize(MemoryFile(disc.builder.content))
            Issue.record("recognised as \(String(describing: facts))")
        } catch {
            #expect(error.kind == .unsupportedFeature)
            #expect(!error.text.isEmpty)
        }
    }

    @Test(arguments: SeededGenerator.seeds(100))
    func randomBytesNeverTrap(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var content = SparseBytes(random.bytes(Int.random(in: 30_000...60_000, using: &random)))
        let names = ["CD001", "BEA01", "NSR02", "TEA01", "CDROM", "BOOT2"].map { Array($0.utf8) }
        for slot in 0..<6 as Range<UInt64> {
            content.store(names.randomElement(using: &random) ?? [], at: 32769 + slot * 2048)
        }
        let file = RecordingFile(content)
        _ = try? ISOImage.recognize(file)
        #expect(file.operationCount == 0)
    }

    @Test(.enabled(if: TestImages.areThere, "the test images are not there"), arguments: TestImages.entries)
    func realImagesAreRecognisedIfTheyAreDiscs(_ image: TestImages.Entry) throws {
        let content = try withScratchFolder { try readFile(TestImages.unpack(image.name, into: $0)) }
        let facts = try ISOImage.recognize(MemoryFile(content))
        #expect((facts != nil) == image.format.hasPrefix("ISO"), "\(String(describing: facts))")
    }
}
