import FileSystem
import Platform
import Synchronization
import SystemPackage
import TestSupport
import Testing
import VolumeTree
import Volumes

/// What programs see of a volume.
struct ShownVolumeTests {
    private func entry(_ file: FileID, _ attributes: Attributes) -> Entry {
        var attributes = attributes
        attributes.inode = file.rawValue
        return Entry(
            node: NodeID(rawValue: file.rawValue),
            answer: AttributeAnswer(attributes, validity: 1),
            nameValidity: 1
        )
    }

    private func names(_ scene: VolumeScene, _ folder: FileID? = nil) throws(Errno) -> [String] {
        let list = try scene.volume.list(folder) { entry($0, $1) }
        return (0..<list.count).map { list.entry(at: $0).name }
    }

    @Test(arguments: [
        ("plain", "plain"), ("Ωμέγα", "Ωμέγα"), ("a/b", #"a\x2Fb"#), (".", #"\x2E"#), ("..", #"\x2E\x2E"#),
        (#"a\x2Fb"#, #"a\x5Cx2Fb"#), (#"a\xyz"#, #"a\xyz"#), ("", #"\x"#), ("...", "..."), (".a", ".a"),
    ])
    func namesAreShownAndFoundAgain(_ stored: String, _ shown: String) throws {
        let scene = VolumeScene(MemoryVolume())
        let file = scene.reader.add(stored, MemoryVolume.attributes(.regular))
        #expect(try names(scene) == [shown])
        #expect(try scene.volume.lookup(Array(shown.utf8), in: nil)?.file == file)
    }

    @Test(arguments: SeededGenerator.seeds(4))
    func namesOfAnyBytesAreShownAsOneNameEach(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let alphabet: [UInt8] = [0, 0x2E, 0x2F, 0x32, 0x46, 0x5C, 0x78, 0x61, 0x80, 0xBF, 0xC3, 0xE2, 0xED, 0xF0, 0xFF]
        var seen: Set<[UInt8]> = []
        for _ in 0..<3000 {
            let name = (0..<Int.random(in: 0...6, using: &generator)).map { _ in
                alphabet.randomElement(using: &generator) ?? 0
            }
            let shown = ShownName.shown(name)
            #expect(ShownName.stored(shown) == name)
            #expect(String(validating: shown, as: UTF8.self) != nil)
            #expect(!shown.isEmpty && shown != [0x2E] && shown != [0x2E, 0x2E])
            #expect(!shown.contains(0) && !shown.contains(0x2F))
            seen.insert(name)
        }
        #expect(Set(seen.map { ShownName.shown($0) }).count == seen.count)
    }

    @Test func whatIsHiddenHasANameAndIsNotListed() throws {
        let scene = VolumeScene(MemoryVolume())
        let hidden = scene.reader.add("$MFT", MemoryVolume.attributes(.regular))
        scene.reader.add("seen", MemoryVolume.attributes(.regular))
        scene.reader.state.withLock { $0.nodes[hidden]?.isHidden = true }
        #expect(try names(scene) == ["seen"])
        #expect(try scene.volume.lookup(Array("$MFT".utf8), in: nil)?.file == hidden)
        #expect(try scene.volume.lookup(Array("none".utf8), in: nil) == nil)
    }

    @Test func aFolderThatClaimsToHoldTheRootIsNoWayBack() throws {
        let scene = VolumeScene(MemoryVolume())
        scene.reader.state.withLock {
            $0.nodes[scene.reader.root]?.names.append((Array("loop".utf8), scene.reader.root))
        }
        #expect(try names(scene).isEmpty)
        #expect(try scene.volume.lookup(Array("loop".utf8), in: nil) == nil)
    }

    @Test(arguments: [
        (NodeKind.regular, 0o4700 as UInt16?, 0o4755 as UInt16), (.regular, 0o600, 0o644), (.regular, nil, 0o444),
        (.directory, 0o700, 0o755), (.directory, nil, 0o555), (.directory, 0o1770, 0o1775),
    ])
    func everythingCanBeReadUnlessModesCount(_ kind: NodeKind, _ stored: UInt16?, _ expected: UInt16) throws {
        let reader = MemoryVolume()
        let file = reader.add("x", MemoryVolume.attributes(kind, permissions: stored))
        #expect(try VolumeScene(reader).volume.attributes(of: file).permissions == expected)
        let strict = try VolumeScene(reader, keepsPermissions: true).volume.attributes(of: file)
        #expect(strict.permissions == stored ?? (kind == .directory ? 0o555 : 0o444))
        #expect((strict.owner, strict.group) == (12, 34))
    }

    @Test func aFolderIsReadOnceAndListedWithAttributes() throws {
        let scene = VolumeScene(MemoryVolume())
        for number in 0..<1000 { scene.reader.add("f\(number)", MemoryVolume.attributes(.regular), content: [1, 2]) }
        let list = try scene.volume.list(nil) { entry($0, $1) }
        #expect(list.count == 1000)
        #expect((0..<1000).allSatisfy { list.lookup(at: $0)?.answer.attributes.size == 2 })
        for number in 0..<1000 { _ = try #require(try scene.volume.lookup(Array("f\(number)".utf8), in: nil)) }
        #expect(scene.reader.state.withLock { $0.folderReads } == 1)
    }

    @Test func errorsHaveNumbersAndAreLoggedOnce() throws {
        let cases: [(VolumeError.Kind, Errno)] = [
            (.damaged, .ioError), (.disk, .ioError), (.reader, .ioError), (.limit, .fileTooLarge),
            (.unsupported, .notSupportedOnSocket), (.gone, .noSuchAddressOrDevice),
        ]
        for (kind, errno) in cases {
            let scene = VolumeScene(MemoryVolume())
            let file = scene.reader.add("x", MemoryVolume.attributes(.regular))
            scene.reader.state.withLock { $0.failure = VolumeError(kind, "reason") }
            for _ in 0..<3 { #expect(throws: errno) { try scene.volume.attributes(of: file) } }
            #expect(scene.version.log.withLock { $0 } == (kind == .gone ? [] : ["disk/p1: reason"]))
        }
    }

    @Test func whatIsWrittenToTheDiskIsSeen() throws {
        let scene = VolumeScene(MemoryVolume(), isConstant: false)
        let file = scene.reader.add("x", MemoryVolume.attributes(.regular), content: [1])
        let open = ReadFile(try scene.volume.open(file) {})
        #expect(try open.read(0..<10) == [1])
        scene.reader.state.withLock { $0.nodes[file]?.content = [2, 3] }
        // Nothing was written that we know of.
        #expect(try open.read(0..<10) == [1])
        scene.version.value.add(1, ordering: .relaxed)
        while try open.read(0..<10) == [1] {}
        #expect(try open.read(0..<10) == [2, 3])
        #expect(scene.version.openings.load(ordering: .relaxed) == 2)
        try open.close()
    }

    /// Whoever has a file open that is deleted never reads another that has its place.
    @Test func aFileThatIsGoneIsNotAnother() throws {
        let scene = VolumeScene(MemoryVolume(), isConstant: false)
        let file = scene.reader.add("x", MemoryVolume.attributes(.regular), content: [1])
        let open = ReadFile(try scene.volume.open(file) {})
        #expect(try open.read(0..<10) == [1])
        scene.reader.state.withLock { state in
            state.nodes[file]?.content = [2, 3]
            state.nodes[file]?.generation = 2
        }
        scene.version.value.add(1, ordering: .relaxed)
        func expectStale(_ open: ReadFile, after old: [UInt8]) {
            #expect(throws: Errno.staleNFSFileHandle) { while try open.read(0..<10) == old {} }
        }
        expectStale(open, after: [1])
        let second = ReadFile(try scene.volume.open(file) {})
        #expect(try second.read(0..<10) == [2, 3])
        scene.reader.state.withLock { $0.nodes[file] = nil }
        scene.version.value.add(1, ordering: .relaxed)
        expectStale(second, after: [2, 3])
        try second.close()
        #expect(scene.version.log.withLock { $0 } == [])
        try open.close()
    }

    /// One attempt serves all who wait for it, and those who come soon after; a disk that has changed is another matter.
    @Test func whatCanNotBeOpenedIsNotTriedByEverybody() throws {
        let scene = VolumeScene(MemoryVolume(), isConstant: false)
        scene.version.failure.withLock { $0 = VolumeError(.reader, "it hangs") }
        let failures = Monitor(0)
        for _ in 0..<30 {
            startThread("test") {
                let failed = (try? scene.volume.lookup([0x78], in: nil)) == nil
                failures.update { $0 += failed ? 1 : 100 }
            }
        }
        #expect(failures.wait(timeout: .seconds(20)) { $0 == 30 ? true : nil } == true)
        #expect(throws: Errno.ioError) { try scene.volume.attributes(of: nil) }
        #expect(scene.version.openings.load(ordering: .relaxed) == 1)
        scene.version.failure.withLock { $0 = nil }
        scene.version.value.add(1, ordering: .relaxed)
        _ = try scene.volume.attributes(of: nil)
        #expect(scene.version.openings.load(ordering: .relaxed) == 2)
    }

    @Test func streamsAreExtendedAttributes() throws {
        let scene = VolumeScene(MemoryVolume())
        let file = scene.reader.add("x", MemoryVolume.attributes(.regular))
        scene.reader.state.withLock { $0.nodes[file]?.streams = ["user.ads.a": [1], "user.ads.b": []] }
        #expect(try scene.volume.extendedAttributes(of: file) == ["user.ads.a", "user.ads.b"].map { Array($0.utf8) })
        #expect(try scene.volume.extendedAttribute(Array("user.ads.a".utf8), of: file) == [1])
        #expect(try scene.volume.extendedAttribute(Array("user.ads.b".utf8), of: file) == [])
        #expect(try scene.volume.extendedAttribute(Array("user.ads.c".utf8), of: file) == nil)
    }

    @Test func readingEndsAtTheEndOfTheFile() throws {
        let scene = VolumeScene(MemoryVolume())
        let file = scene.reader.add("x", MemoryVolume.attributes(.regular), content: Array(1...100))
        let isClosed = Locked(false)
        let open = ReadFile(try scene.volume.open(file) { isClosed.withLock { $0 = true } })
        #expect(try open.read(90..<200) == Array(91...100))
        #expect(try open.read(100..<200) == [])
        #expect(try open.read(UInt64.max - 5..<UInt64.max) == [])
        try open.close()
        #expect(isClosed.withLock { $0 })
    }

    @Test func theEndOfTheDiskClosesTheReader() throws {
        let scene = VolumeScene(MemoryVolume())
        _ = try names(scene)
        #expect(!scene.reader.state.withLock { $0.isClosed })
        scene.volume.end()
        #expect(scene.reader.state.withLock { $0.isClosed })
    }
}
