import BlockDevice
import TestSupport
import Testing

/// The rows of `formats.md` §6.1 about footers and sizes.
struct DamagedFooterTests {
    static let fixed = VHDBuilder(.fixed, disk: SparseBytes([UInt8](repeating: 0x77, count: 20_480)))
    static let dynamic = VHDBuilder(
        .dynamic,
        disk: SparseBytes([UInt8](repeating: 0x77, count: 20_480)),
        blockSize: 4096
    )

    @Test(arguments: choice + types + sizes + harmless)
    func row(_ image: DamagedImage) throws {
        try image.check()
    }

    static let choice: [DamagedImage] = [
        DamagedImage("sound, fixed", fixed, .opens),
        DamagedImage("sound, dynamic", dynamic, .opens),
        DamagedImage("checksum wrong in tail only", dynamic, .warns) {
            $0.edit(.tail, at: 64, UInt32(1), fixesChecksum: false)
        },
        DamagedImage("checksum of 0 in tail only", dynamic, .warns) {
            $0.edit(.tail, at: 64, UInt32(0), fixesChecksum: false)
        },
        DamagedImage("checksum wrong, fixed", fixed, .refused(.footerChecksum)) {
            $0.edit(.tail, at: 64, UInt32(1), fixesChecksum: false)
        },
        DamagedImage("checksum wrong in copy only", dynamic, .warns) {
            $0.edit(.copy, at: 64, UInt32(1), fixesChecksum: false)
        },
        DamagedImage("copy zeroed", dynamic, .warns) { $0.hasFooterCopy = false },
        DamagedImage("both checksums wrong", dynamic, .refused(.footerChecksum)) {
            $0.edit(.copy, .tail, at: 64, UInt32(1), fixesChecksum: false)
        },
        DamagedImage("tail and copy valid but different", dynamic, .warns) {
            $0.edit(.copy, at: 68, [UInt8](repeating: 9, count: 16))
        },
        DamagedImage("the copy claims another size: the tail wins", dynamic, .warns) {
            $0.edit(.copy, at: 48, UInt64(4096))
        },
        DamagedImage("the tail was cut off with the gap", dynamic, .warns) { $0.hasFooter = false },
        DamagedImage("511-byte footer", dynamic, .opens) { $0.footerLength = 511 },
        DamagedImage("511-byte footer, fixed", fixed, .opens) { $0.footerLength = 511 },
        DamagedImage("junk after the footer", dynamic, .warns) {
            $0.junkAfterFooter = [UInt8](repeating: 0xAB, count: 700)
        },
        DamagedImage("zeros after the footer", dynamic, .warns) {
            $0.junkAfterFooter = [UInt8](repeating: 0, count: 4096)
        },
        DamagedImage("junk after the footer, fixed", fixed, .refused(.footerMissing, .footerCorrupt, .notRecognized)) {
            $0.junkAfterFooter = [UInt8](repeating: 0xAB, count: 512)
        },
        DamagedImage("no footer, fixed", fixed, .refused(.footerMissing, .notRecognized)) { $0.hasFooter = false },
        DamagedImage(
            "a copy at 0 that says fixed",
            file: {
                var file = SparseBytes([UInt8](repeating: 0x77, count: 20_480))
                file.store(fixed.footer(.copy), at: 0)
                return file
            }(),
            .refused(.footerMissing)
        ),
        DamagedImage("footer copy inside a fixed disk's sector 0", fixed, .opens) {
            $0.disk.store(dynamic.build().content[0..<20_480], at: 0)
        },
        DamagedImage("an empty file", file: SparseBytes(), .refused(.footerMissing, .notRecognized)),
        DamagedImage("a file of 100 bytes", file: SparseBytes(count: 100), .refused(.footerMissing, .notRecognized)),
        DamagedImage(
            "a footer and nothing else",
            file: SparseBytes(dynamic.footer(.tail)),
            .refused(.headerCorrupt, .footerCorrupt, .truncated)
        ),
        DamagedImage("v_poison cookie", dynamic, .refused(.unsupportedFeature)) {
            $0.edit(.copy, .tail, at: 0, Array("v_poison".utf8))
        },
    ]

    static let types: [DamagedImage] =
        [0, 1, 5, 6, 7, 0xFFFF_FFFF].map { type in
            DamagedImage("type \(type)", dynamic, .refused(.footerCorrupt)) {
                $0.edit(.copy, .tail, at: 60, UInt32(type))
            }
        }
        + [
            DamagedImage("type 0, fixed", fixed, .refused(.footerCorrupt)) { $0.edit(.tail, at: 60, UInt32(0)) },
            DamagedImage("data offset all ones", dynamic, .refused(.footerCorrupt, .headerCorrupt)) {
                $0.edit(.copy, .tail, at: 16, UInt64.max)
            },
            DamagedImage("data offset misaligned", dynamic, .refused(.footerCorrupt, .headerCorrupt)) {
                $0.edit(.copy, .tail, at: 16, UInt64(513))
            },
            DamagedImage("data offset past the end", dynamic, .refused(.footerCorrupt, .headerCorrupt)) {
                $0.edit(.copy, .tail, at: 16, UInt64(1) << 40)
            },
            DamagedImage("data offset near UInt64.max", dynamic, .refused(.footerCorrupt, .headerCorrupt)) {
                $0.edit(.copy, .tail, at: 16, UInt64.max - 511)
            },
            DamagedImage("data offset 0, fixed", fixed, .opens) { $0.edit(.tail, at: 16, UInt64(0)) },
            DamagedImage("version 2.0", dynamic, .refused(.unsupportedVersion)) {
                $0.edit(.copy, .tail, at: 12, UInt32(0x0002_0000))
            },
            DamagedImage("version 2.0, fixed", fixed, .refused(.unsupportedVersion)) {
                $0.edit(.tail, at: 12, UInt32(0x0002_0000))
            },
            DamagedImage(
                "version 1.1",
                dynamic,
                .opens,
                writable: .refused(.unsupportedVersion, .unsupportedFeature, .readOnly)
            ) { $0.edit(.copy, .tail, at: 12, UInt32(0x0001_0001)) },
        ]

    static let sizes: [DamagedImage] = [
        DamagedImage("size 0", dynamic, .refused(.invalidSize)) { $0.edit(.copy, .tail, at: 48, UInt64(0)) },
        DamagedImage("size 0, fixed", fixed, .refused(.invalidSize)) { $0.edit(.tail, at: 48, UInt64(0)) },
        roundedDown(fixed),
        roundedDown(dynamic),
        DamagedImage("size 2,041 GiB, fixed", VHDBuilder(.fixed, size: 2041 << 30), .opens),
        DamagedImage("size 2,041 GiB, dynamic", dynamic, .refused(.limit)) {
            $0.edit(.copy, .tail, at: 48, UInt64(2041) << 30)
        },
        DamagedImage("size above Int64.max", dynamic, .refused(.invalidSize, .footerCorrupt)) {
            $0.edit(.copy, .tail, at: 48, UInt64(1) << 63 | 512)
        },
        DamagedImage("size UInt64.max, fixed", fixed, .refused(.invalidSize, .footerCorrupt)) {
            $0.edit(.tail, at: 48, UInt64.max)
        },
        DamagedImage("size just below 2^63, fixed", fixed, .refused(.truncated, .invalidSize)) {
            $0.edit(.tail, at: 48, UInt64(1) << 63 - 512)
        },
        DamagedImage("fixed file shorter than size", fixed, .refused(.truncated)) {
            $0.edit(.tail, at: 48, UInt64(20_992))
        },
        larger(),
        DamagedImage("original size differs", dynamic, .opens) { $0.edit(.copy, .tail, at: 40, UInt64(512)) },
        DamagedImage("geometry of 0/0/0", dynamic, .opens) { $0.edit(.copy, .tail, at: 56, UInt32(0)) },
    ]

    static let harmless: [DamagedImage] = [
        DamagedImage("saved state 1", dynamic, .opens, writable: .refused(.unsupportedFeature)) { $0.savedState = 1 },
        DamagedImage("saved state 1, fixed", fixed, .opens, writable: .refused(.unsupportedFeature)) {
            $0.savedState = 1
        },
        DamagedImage("features 0", dynamic, .opens) { $0.edit(.copy, .tail, at: 8, UInt32(0)) },
        DamagedImage("host system unknown", dynamic, .opens) { $0.hostSystem = "\0\0\0\0" },
        DamagedImage("creator unknown", dynamic, .opens) { $0.creator = "????" },
        DamagedImage("unique id of zeros", dynamic, .opens) { $0.uniqueID = [UInt8](repeating: 0, count: 16) },
        DamagedImage("reserved bytes in use", dynamic, .opens) { $0.edit(.copy, .tail, at: 300, [1, 2, 3]) },
        DamagedImage("Xen: hidden byte not in the checksum", dynamic, .opens) {
            ($0.creator, $0.creatorVersion) = ("tap\0", 0x0001_0001)
            $0.edit(.copy, .tail, at: 85, [1], fixesChecksum: false)
        },
        DamagedImage("hidden byte not in the checksum, not Xen", dynamic, .refused(.footerChecksum)) {
            $0.edit(.copy, .tail, at: 85, [1], fixesChecksum: false)
        },
    ]

    static func roundedDown(_ builder: VHDBuilder) -> DamagedImage {
        var image = DamagedImage(
            "size not a multiple of 512, \(builder.subtype)",
            builder,
            .opens,
            writable: .refused(.invalidSize, .unsupportedFeature, .readOnly)
        ) { $0.edit(.copy, .tail, at: 48, UInt64(20_480 - 100)) }
        image.shown?.resize(to: 20_480 - 512)
        return image
    }

    static func larger() -> DamagedImage {
        var image = DamagedImage("fixed file longer than size", fixed, .warns) {
            $0.edit(.tail, at: 48, UInt64(10_240))
        }
        image.shown?.resize(to: 10_240)
        return image
    }
}
