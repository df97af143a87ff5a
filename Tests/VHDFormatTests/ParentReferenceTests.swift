import BlockDevice
import ByteIO
import TestSupport
import Testing
import VHDFormat

/// How a differencing image names its parent (`formats.md` §2.8).
struct ParentReferenceTests {
    func child(_ locators: [VHDBuilder.Locator], name: String = "") -> VHDBuilder {
        var builder = VHDBuilder(.differencing, size: 20_480)
        builder.blockSize = 4096
        builder.parentID = (1...16).map { $0 * 3 }
        builder.parentTimestamp = 77
        builder.parentName = name
        builder.locators = locators
        return builder
    }

    func reference(_ builder: VHDBuilder) throws -> VHDParentReference {
        try #require(OpenDisk(MemoryFile(builder.build().content), writable: false).leaf.facts.parent)
    }

    func locator(_ code: String, _ text: String) -> VHDBuilder.Locator {
        VHDBuilder.Locator(code, encodeUTF16(text, .little))
    }

    @Test func candidatesComeInTheOrderInWhichTheyAreTried() throws {
        let parent = try reference(
            child(
                [
                    VHDBuilder.Locator("MacX", Array("file:///images/b%20c.vhd".utf8)),
                    locator("W2ku", "C:\\images\\b.vhd"),
                    VHDBuilder.Locator("Mac ", [1, 2, 3]),
                    VHDBuilder.Locator("what", [1, 2, 3]),
                    locator("W2ru", ".\\b.vhd"),
                ],
                name: "D:\\old\\b.vhd"
            )
        )
        #expect(parent.uniqueID.bytes == (1...16).map { $0 * 3 })
        #expect(parent.timestamp == 77)
        #expect(parent.paths.first == .relative(".\\b.vhd"))
        #expect(
            Set(parent.paths.dropFirst().dropLast())
                == [.absolute("C:\\images\\b.vhd"), .url("file:///images/b%20c.vhd")]
        )
        #expect(parent.paths.last == .name("D:\\old\\b.vhd"))
        #expect(parent.paths.count == 4)
    }

    @Test func aDynamicDiskHasNoParent() throws {
        let builder = VHDBuilder(.dynamic, size: 20_480)
        #expect(try OpenDisk(MemoryFile(builder.build().content), writable: false).leaf.facts.parent == nil)
    }

    @Test func aLocatorEndsAtItsFirstNul() throws {
        let padded = VHDBuilder.Locator("W2ru", encodeUTF16(".\\b.vhd\0\0garbage", .little))
        #expect(try reference(child([padded])).paths == [.relative(".\\b.vhd")])
    }

    @Test(arguments: [0, 1, 512, 4096, 0xFFFF_FFFF] as [UInt32])
    func dataSpaceIsNotUsedForReading(_ space: UInt32) throws {
        var odd = locator("W2ru", ".\\b.vhd")
        odd.space = space
        #expect(try reference(child([odd])).paths == [.relative(".\\b.vhd")])
    }

    @Test func locatorsThatCannotBeReadAreSkipped() throws {
        let good = locator("W2ku", "C:\\b.vhd")
        var past = locator("W2ru", ".\\past.vhd")
        past.claimedOffset = 1 << 40
        var far = past
        far.claimedOffset = .max - 3
        var long = locator("W2ru", ".\\long.vhd")
        long.length = 65_538
        var longest = long
        longest.length = .max
        for bad in [past, far, long, longest, VHDBuilder.Locator("W2ru", [])] {
            #expect(try reference(child([bad, good])).paths == [.absolute("C:\\b.vhd")])
        }
    }

    /// Such a locator would come to lie on a new block when the file grows, and nothing would open the image any more.
    @Test(arguments: [0, 100, 1 << 30] as [UInt64])
    func aChildWhoseLocatorIsBehindTheFileIsNotWritten(_ distance: UInt64) throws {
        var past = locator("W2ru", ".\\past.vhd")
        past.claimedOffset = child([past]).build().content.count + distance
        let content = child([past]).build().content
        #expect(throws: Never.self) { try VHDImage.open(MemoryFile(content)) }
        #expect { try VHDImage.open(MemoryFile(content), options: VHDOpenOptions(writable: true)) } throws: {
            ($0 as? DiskError)?.kind == .readOnly
        }
    }

    @Test func textThatIsNotQuiteUTF16IsReadAsFarAsItGoes() throws {
        let odd = VHDBuilder.Locator("W2ru", encodeUTF16(".\\b.vhd", .little) + [0x41])
        #expect(try reference(child([odd])).paths == [.relative(".\\b.vhd")])
        let lone = VHDBuilder.Locator("W2ru", encodeUTF16(".\\", .little) + [0x00, 0xD8] + encodeUTF16("b", .little))
        #expect(try reference(child([lone])).paths == [.relative(".\\\u{FFFD}b")])
    }

    @Test func aNameMayFillItsField() throws {
        let name = String(repeating: "ä", count: 256)
        #expect(try reference(child([], name: name)).paths == [.name(name)])
    }

    @Test func readsPastAShorterParentGiveZeros() throws {
        let parent = VHDBuilder(.dynamic, disk: SparseBytes([UInt8](repeating: 9, count: 10_240)), blockSize: 4096)
        var child = VHDBuilder(.differencing, size: 40_960)
        child.blockSize = 8192
        child.setParent(parent, file: "parent.vhd")
        let files = [child, parent].map { MemoryFile($0.build().content) }
        let disk = try OpenDisk(files, writable: true)
        var model = DiskModel(child.shown(over: parent.shown()))
        try model.check(disk.device)
        // Partial sectors on both sides of the parent's end.
        try model.perform(.write([1, 2, 3], at: 10_239), on: disk.device)
        try model.perform(.write([4, 5, 6], at: 30_001), on: disk.device)
        try model.check(disk.device)
        try disk.finish()
        #expect(try ReferenceVHD(files[0].content).shown(over: parent.shown()) == model.bytes)
    }
}
