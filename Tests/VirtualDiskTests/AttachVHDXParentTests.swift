import SystemPackage
import TestSupport
import Testing

@testable import VirtualDisk

/// How the parents of differencing VHDX files are found and judged (`formats.md` §3.9, §3.10).
struct AttachVHDXParentTests {
    private typealias Pair = VHDXBuilder.Pair

    /// A child in `folder/`, its parent wherever the test puts it.
    private func child(
        _ scratch: ScratchFolder,
        _ pairs: Pair...,
        at path: String = "folder/child.avhdx",
        change: (inout VHDXBuilder) -> Void = { _ in }
    ) throws {
        var builder = VHDXBuilder.child(of: .small())
        builder.parentPairs += pairs
        change(&builder)
        try run("mkdir", "-p", scratch.path("folder")).checked()
        try scratch.write(builder.build().content, to: path)
    }

    /// Expects the child to show the parent in `path`, found in that way.
    private func expectParent(
        _ path: String,
        by origin: String,
        of request: String = "folder/child.avhdx",
        _ scene: AttachScene,
        at location: SourceLocation = #_sourceLocation
    ) throws {
        let disk = try scene.attach("\(request) name=x")
        let data = try disk.bytes((1 << 20)..<(1 << 20) + 4096)
        #expect(data == [UInt8](repeating: 1, count: 4096), sourceLocation: location)
        let line = "chain: \(scene.scratch.path(path)) (01010101-0101-0101-0101-010101010101, found by \(origin))"
        #expect(disk.infoText.contains(line), "\(disk.infoText)", sourceLocation: location)
        try scene.detach("x")
    }

    // MARK: Finding

    @Test(arguments: [
        ".\\base\\parent.vhdx", "base\\parent.vhdx", "..\\folder\\base\\parent.vhdx", ".\\BASE\\Parent.VHDX",
    ])
    func relative(_ path: String) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .relative(path))
            try scratch.makeFolder("folder/base")
            try scene.makeVHDX("folder/base/parent.vhdx")
            try expectParent("folder/base/parent.vhdx", by: "relative-path", scene)
        }
    }

    /// With the prefix of the specification, as Hyper-V really writes it, and from a server.
    @Test(arguments: [
        Pair("absolute_win32_path", "\\\\?\\C:\\images\\parent.vhdx"),
        Pair("absolute_win32_path", "C:\\images\\parent.vhdx"),
        Pair("absolute_win32_path", "\\\\server\\share\\images\\parent.vhdx"),
        Pair("absolute_win32_path", "\\\\?\\UNC\\server\\share\\images\\parent.vhdx"),
        Pair("volume_path", "\\\\?\\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\\images\\parent.vhdx"),
    ])
    func absoluteBelowAFolderAboveTheChild(_ pair: VHDXBuilder.Pair) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, pair)
            try scratch.makeFolder("images")
            try scene.makeVHDX("images/parent.vhdx")
            try expectParent("images/parent.vhdx", by: "absolute-path", scene)
        }
    }

    /// Whatever the paths say: the whole chain may have been moved into one folder.
    @Test(arguments: [
        Pair("relative_path", "..\\elsewhere\\parent.vhdx"), Pair("absolute_win32_path", "Q:\\vm\\parent.vhdx"),
        Pair("volume_path", "\\\\?\\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\\vm\\PARENT.vhdx"),
    ])
    func theNameBesideIsTheLastResort(_ pair: VHDXBuilder.Pair) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, pair)
            try scene.makeVHDX("folder/parent.vhdx")
            try expectParent("folder/parent.vhdx", by: "name", scene)
        }
    }

    /// Relative, absolute, volume, and last the name beside; a wrong one on the way hides nothing.
    @Test func theOrderOfThePaths() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(
                scratch,
                .volume("\\\\?\\Volume{0}\\v\\p.vhdx"),
                .absolute("C:\\a\\p.vhdx"),
                .relative("r\\p.vhdx")
            )
            let places = [
                ("folder/r", "relative-path"), ("a", "absolute-path"), ("v", "absolute-path"), ("folder", "name"),
            ]
            for (folder, _) in places {
                try run("mkdir", "-p", scratch.path(folder)).checked()
                try scene.makeVHDX("\(folder)/p.vhdx")
            }
            for (index, (folder, origin)) in places.enumerated() {
                try expectParent("\(folder)/p.vhdx", by: origin, scene)
                if index % 2 == 0 {
                    try scene.makeVHDX("\(folder)/p.vhdx", fill: 9)
                } else {
                    try run("rm", scratch.path("\(folder)/p.vhdx")).checked()
                }
            }
            scene.expectRefusal(.vhdChildParentIDMismatch, "09090909", of: "folder/child.avhdx")
            try scene.makeVHDX("other.vhdx")
            try expectParent("other.vhdx", by: "parent=", of: "folder/child.avhdx parent=other.vhdx", scene)
        }
    }

    @Test func aMissingParentNamesEveryPathTried() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .relative("..\\r.vhdx"), .absolute("Q:\\dir\\a.vhdx"))
            scene.expectRefusal(
                .vhdParentVHDNotFound,
                scratch.path("r.vhdx"),
                "/mnt/q/dir/a.vhdx",
                scratch.path("folder/a.vhdx"),
                scratch.path("dir/a.vhdx"),
                "parent=PATH",
                of: "folder/child.avhdx"
            )
        }
    }

    // MARK: Identity

    @Test(arguments: [
        "{01010101-0101-0101-0101-010101010101}", "01010101-0101-0101-0101-010101010101",
    ])
    func linkagesWithAndWithoutBraces(_ text: String) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch) { $0.parentPairs = [Pair("parent_linkage", text), .relative("..\\parent.vhdx")] }
            try scene.makeVHDX("parent.vhdx")
            try expectParent("parent.vhdx", by: "relative-path", scene)
        }
    }

    /// The second linkage counts while a merge is in flight: either may be the parent's.
    @Test(arguments: [UInt8(1), 9])
    func theSecondLinkage(_ fill: UInt8) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch) {
                $0.parentPairs = [
                    Pair("parent_linkage", "{09090909-0909-0909-0909-090909090909}"),
                    Pair("parent_linkage2", "{01010101-0101-0101-0101-010101010101}"), .relative("..\\parent.vhdx"),
                ]
            }
            try scene.makeVHDX("parent.vhdx", fill: fill)
            let disk = try scene.attach("folder/child.avhdx")
            #expect(try disk.bytes((1 << 20)..<(1 << 20) + 1) == [fill])
            try scene.detach("child")
        }
    }

    /// Zeros mean "none", also where the parent has zeros.
    @Test(arguments: [
        [], [Pair("parent_linkage2", "{00000000-0000-0000-0000-000000000000}")],
        [Pair("parent_linkage", "{00000000-0000-0000-0000-000000000000}")],
    ])
    func zerosNeverMatch(_ linkages: [VHDXBuilder.Pair]) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch) { $0.parentPairs = linkages + [.relative("..\\parent.vhdx")] }
            try scene.makeVHDX("parent.vhdx") { $0.dataWriteGUID = [UInt8](repeating: 0, count: 16) }
            scene.expectRefusal(.vhdChildParentIDMismatch, "parent_linkage", of: "folder/child.avhdx")
        }
    }

    @Test func anotherIdIsNamedAsWindowsPrintsIt() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .relative("..\\parent.vhdx")) {
                $0.parentPairs[0] = Pair("parent_linkage", "{01020304-0506-0708-090A-0B0C0D0E0F10}")
            }
            try scene.makeVHDX("parent.vhdx") { $0.dataWriteGUID = guidBytes("A1020304-0506-0708-090A-0B0C0D0E0F10") }
            scene.expectRefusal(
                .vhdChildParentIDMismatch,
                "01020304-0506-0708-090a-0b0c0d0e0f10",
                "a1020304-0506-0708-090a-0b0c0d0e0f10",
                of: "folder/child.avhdx"
            )
        }
    }

    /// The parent's *current* DataWriteGuid counts: one that was written to since is another.
    @Test func aParentThatWasWrittenToIsAnother() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .relative("..\\parent.vhdx"))
            try scene.makeVHDX("parent.vhdx")
            try expectParent("parent.vhdx", by: "relative-path", scene)
            try scene.attach("parent.vhdx").store([9], at: 0)
            try scene.detach("parent")
            scene.expectRefusal(.vhdChildParentIDMismatch, of: "folder/child.avhdx")
        }
    }

    // MARK: What a parent may be

    @Test func familiesDoNotMix() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            // The identifiers agree; the formats don't.
            try child(scratch, .relative("..\\parent.vhd"))
            try scene.makeVHD("parent.vhd")
            scene.expectRefusal(.vhdDifferencingChainErrorInParent, "parent.vhd", of: "folder/child.avhdx")
            try scratch.write(VHDBuilder.child(of: .small(), .relative("other.vhdx")).build().content, to: "child.vhd")
            try scene.makeVHDX("other.vhdx")
            scene.expectRefusal(.vhdDifferencingChainErrorInParent, "other.vhdx", of: "child.vhd")
        }
    }

    @Test func sectorSizesMustAgree() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .relative("..\\parent.vhdx")) { $0.logicalSectorSize = 4096 }
            try scene.makeVHDX("parent.vhdx")
            scene.expectRefusal(.vhdChildParentSizeMismatch, "512", "4096", of: "folder/child.avhdx readonly")
            // No lock and no claim stays.
            try scene.attach("parent.vhdx")
            try scene.detach("parent")
        }
    }

    @Test func aDamagedParentSaysWhat() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .relative("..\\parent.vhdx"))
            try scene.makeVHDX("parent.vhdx") { $0.entryOverrides[0] = 5 }
            scene.expectRefusal(
                .vhdDifferencingChainErrorInParent,
                scratch.path("parent.vhdx"),
                of: "folder/child.avhdx"
            )
        }
    }

    @Test func aDiskThatIsItsOwnAncestor() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            let a = VHDXBuilder.child(of: .small(fill: 31), fill: 30, .relative("b.vhdx"))
            let b = VHDXBuilder.child(of: .small(fill: 30), fill: 31, .relative("a.vhdx"))
            try scratch.write(a.build().content, to: "a.vhdx")
            try scratch.write(b.build().content, to: "b.vhdx")
            let own = VHDXBuilder.child(of: .small(fill: 32), fill: 32, .relative("c.vhdx"))
            try scratch.write(own.build().content, to: "c.vhdx")
            for name in ["a", "b", "c"] {
                scene.expectRefusal(.vhdDifferencingChainCycleDetected, of: "\(name).vhdx readonly")
            }
        }
    }

    @Test(.timeLimit(.minutes(10)))
    func depth256AndNoMore() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            var below = try scene.makeVHDX("0.avhdx")
            for index in 1...256 {
                var builder = VHDXBuilder.child(of: below, .relative(".\\\(index - 1).avhdx"))
                builder.dataWriteGUID = [UInt8](repeating: 0xAA, count: 14) + [UInt8(index >> 8), UInt8(index & 255)]
                try scratch.write(builder.build().content, to: "\(index).avhdx")
                below = builder
            }
            let disk = try scene.attach("255.avhdx readonly")
            #expect(disk.facts.chain.count == 256)
            #expect(try disk.bytes((1 << 20)..<(1 << 20) + 1) == [1])
            try scene.detach("255")
            scene.expectRefusal(.vhdDifferencingChainErrorInParent, "256", of: "256.avhdx")
        }
    }

    // MARK: What a chain shows

    /// Three layers with blocks of different sizes, sectors of each here and there, the leaf larger than what it stands on.
    @Test(arguments: [UInt32(512), 4096], 1...4 as ClosedRange<UInt64>)
    func mixedBlockSizes(_ sector: UInt32, _ seed: UInt64) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            var random = SeededGenerator(seed: seed)
            var below: VHDXBuilder?
            var shown: SparseBytes?
            for (index, (blockSize, size)) in [(1, 9), (4, 9), (2, 11)].enumerated() {
                var builder = VHDXBuilder.random(
                    index == 0 ? .dynamic : .differencing,
                    size: UInt64(size) << 20,
                    blockSizes: [UInt32(blockSize) << 20],
                    logicalSectorSize: sector,
                    using: &random
                )
                if let below { builder.setParent(below, file: "\(index - 1).vhdx") }
                try scratch.write(builder.build().content, to: "\(index).vhdx")
                shown = builder.shown(over: shown)
                below = builder
            }
            let disk = try scene.attach("2.vhdx")
            #expect(try disk.allBytes() == shown?.bytes)
            #expect(disk.facts.chain.map(\.resolvedBy) == ["request", "relative-path", "relative-path"])
            try scene.detach("2")
        }
    }

    @Test func writesGoToTheLeafOnly() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .relative("..\\parent.vhdx"))
            try scene.makeVHDX("parent.vhdx")
            let before = try (scratch.read("parent.vhdx"), timesAndSize(scratch.path("parent.vhdx")))
            let start: UInt64 = 1 << 20
            let model = [77] + [UInt8](repeating: 1, count: 511) + [UInt8](repeating: 0, count: 3584)
            let disk = try scene.attach("folder/child.avhdx")
            try disk.store([77], at: start)
            try disk.zero(start + 512..<start + 8192)
            #expect(try disk.bytes(start..<start + 4096) == model)
            // A whole block of zeros must not let the parent through.
            try disk.zero(2 * start..<3 * start)
            try scene.detach("child")
            #expect(try scratch.read("parent.vhdx") == before.0)
            #expect(try timesAndSize(scratch.path("parent.vhdx")) == before.1)
            let again = try scene.attach("folder/child.avhdx readonly")
            #expect(try again.bytes(start..<start + 4096) == model)
            try scene.detach("child")
        }
    }

    // MARK: Sharing

    @Test func parentAndReadWriteExcludeEachOther() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try child(scratch, .relative("..\\parent.vhdx"))
            try scene.makeVHDX("parent.vhdx")
            try scene.attach("folder/child.avhdx readonly")
            scene.expectRefusal(.sharingViolation, "parent of child", of: "parent.vhdx")
            try scene.detach("child")
            try scene.attach("parent.vhdx")
            scene.expectRefusal(.sharingViolation, "attached read/write as parent", of: "folder/child.avhdx")
            try scene.detach("parent")
        }
    }
}
