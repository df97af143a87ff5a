import BlockDevice
import ByteIO
import TestSupport
import Testing
import VHDXFormat

/// How a child names its parent (`formats.md` §3.9).
struct ParentReferenceTests {
    typealias Pair = VHDXBuilder.Pair
    static let text = "12345678-9abc-def0-1234-56789abcdef0"
    static let second = "0f0e0d0c-0b0a-0908-0706-050403020100"

    func reference(_ pairs: [Pair]) throws -> VHDXParentReference {
        var builder = VHDXBuilder.base(.differencing)
        builder.parentPairs = pairs
        return try #require(try OpenDisk(MemoryFile(builder.build().content), writable: false).leaf.facts.parent)
    }

    @Test(
        arguments: [text, "{\(text)}", text.uppercased(), "{\(text.uppercased())}"]
    )
    func linkageInEverySpelling(_ text: String) throws {
        let linkages = try reference([Pair("parent_linkage", text)]).linkages
        #expect(linkages.map(\.bytes) == [guidBytes(Self.text)])
    }

    @Test func aSecondLinkageCountsUnlessItIsZero() throws {
        let zero = "{00000000-0000-0000-0000-000000000000}"
        let first = Pair("parent_linkage", Self.text)
        #expect(try reference([first, Pair("parent_linkage2", zero)]).linkages.count == 1)
        #expect(
            try reference([Pair("parent_linkage2", "{\(Self.second)}"), first]).linkages.map(\.bytes)
                == [guidBytes(Self.text), guidBytes(Self.second)]
        )
    }

    @Test func aZeroLinkageMatchesNothing() throws {
        let zero = "{00000000-0000-0000-0000-000000000000}"
        #expect(try reference([Pair("parent_linkage", zero), Pair("relative_path", "a")]).linkages.isEmpty)
    }

    @Test func pathsComeInTheirOrderWhateverThatOfThePairs() throws {
        let paths = try reference([
            Pair("absolute_win32_path", "C:\\images\\base.vhdx"), Pair("something_else", "x"),
            Pair("volume_path", "\\\\?\\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\\images\\base.vhdx"),
            Pair("parent_linkage", Self.text), Pair("relative_path", ".\\base.vhdx"),
        ]).paths
        #expect(paths.first == .relative(".\\base.vhdx"))
        let absolute = paths.compactMap { if case .absolute(let path) = $0 { path } else { nil } }
        #expect(absolute.contains("C:\\images\\base.vhdx"))
        #expect(absolute.contains { $0.contains("Volume{26a21bda") })
        // Last of all the bare name, beside the child.
        guard case .name = paths.last else {
            Issue.record("the last candidate is \(String(describing: paths.last))")
            return
        }
    }

    @Test func namesOfEveryScriptAndLength() throws {
        let name = ".\\Größe 東京 🗄 " + String(repeating: "x", count: 300) + ".vhdx"
        let paths = try reference([Pair("parent_linkage", Self.text), Pair("relative_path", name)]).paths
        #expect(paths.first == .relative(name))
    }

    @Test(arguments: ["", "no guid", "{12345678}", "{\(text)", "\(text)00"])
    func aLinkageThatIsNoIdentifierMatchesNothing(_ text: String) throws {
        var builder = VHDXBuilder.base(.differencing)
        builder.parentPairs = [Pair("parent_linkage", text), Pair("relative_path", "a")]
        do {
            let leaf = try OpenDisk(MemoryFile(builder.build().content), writable: false).leaf
            #expect(try #require(leaf.facts.parent).linkages.isEmpty)
        } catch let error as DiskError {
            #expect(error.kind == .fileCorrupt, "\(error)")
        }
    }

    @Test func parentAndChildOfABuiltChainFindEachOther() throws {
        var random = SeededGenerator(seed: 2)
        let chain = ChainBuilder(depth: 2, size: 3 << 20, blockSizes: .small, using: &random)
        let files = chain.files()
        let parent = try OpenDisk(files[1], writable: false).leaf
        let child = try OpenDisk(files, writable: false).leaf
        #expect(child.facts.parent?.linkages == [parent.dataWriteGUID])
        #expect(child.facts.virtualDiskID == parent.facts.virtualDiskID)
        #expect(child.facts.parent?.paths.first == .relative(".\\\(chain.names[1])"))
    }

    @Test func moreThan256PairsAreRefused() throws {
        var builder = VHDXBuilder.base(.differencing)
        builder.parentPairs = [Pair("parent_linkage", Self.text)] + (0..<256).map { Pair("key\($0)", "v") }
        let error = #expect(throws: DiskError.self) {
            try OpenDisk(MemoryFile(builder.build().content), writable: false)
        }
        let kinds: [DiskError.Kind] = [.fileCorrupt, .limit]
        #expect(kinds.contains(error?.kind ?? .gone))
    }
}
