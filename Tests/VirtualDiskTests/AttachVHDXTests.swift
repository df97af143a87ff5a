import BlockDevice
import Platform
import SystemPackage
import TestSupport
import Testing

@testable import VirtualDisk

/// VHDX images as attachments: found by content, told about, replayed, written, and made again (`formats.md` §1, §3, CONTRACT.md §1, §3.5).
struct AttachVHDXTests {
    // The default id of the builder, 10 11 12 … 1f, as Windows prints it.
    private static let diskID = "13121110-1514-1716-1819-1a1b1c1d1e1f"

    @Test(arguments: [VHDXBuilder.Subtype.fixed, .dynamic])
    func aVHDXIsKnownByItsContent(_ subtype: VHDXBuilder.Subtype) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            let builder = try scene.makeVHDX("disk.iso", subtype, fill: 7)
            let disk = try scene.attach("disk.iso")
            #expect(disk.size == 4 << 20)
            #expect(try disk.allBytes() == builder.shown().bytes)
            let lines = [
                "format: vhdx", "subtype: \(subtype)", "virtual_size: 4194304", "logical_sector_size: 512",
                "physical_sector_size: 4096", "block_size: 1048576", "identifier: \(Self.diskID)",
                "chain: \(scratch.path("disk.iso")) (07070707-0707-0707-0707-070707070707, found by request)",
                "log_replayed_entries: 0", "warnings: none",
            ]
            for line in lines { #expect(disk.infoText.contains("\n\(line)\n"), "\(line) in\n\(disk.infoText)") }
            try scene.detach("disk")
        }
    }

    @Test func sectorSizesAreShown() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHDX("a.vhdx") { $0.logicalSectorSize = 4096 }
            try scene.makeVHDX("b.vhdx") { $0.physicalSectorSize = 512 }
            #expect(
                try scene.attach("a.vhdx").infoText.contains("logical_sector_size: 4096\nphysical_sector_size: 4096\n")
            )
            #expect(
                try scene.attach("b.vhdx").infoText.contains("logical_sector_size: 512\nphysical_sector_size: 512\n")
            )
            try scene.detach("a")
            try scene.detach("b")
        }
    }

    // MARK: Recognition

    /// The guest of a VHDX owns the last bytes of the file, the one of a fixed VHD the first ones: what has both is nobody's to guess.
    @Test(arguments: ["disk.vhdx", "disk.img"], [512, 511])
    func aFileThatMayBeEitherIsAskedFor(_ name: String, _ footerLength: Int) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            let inner = VHDXBuilder.small().build().content
            var outer = VHDBuilder(.fixed, disk: inner)
            outer.footerLength = footerLength
            try scratch.write(outer.build().content, to: name)
            do {
                try scene.attach("\(name) readonly")
                Issue.record("attached")
            } catch let error as AttachError {
                #expect(error.error == .virtDiskProviderNotFound)
                #expect(error.explanation.contains("type=vhdx"))
            }
            #expect(try scene.attach("\(name) readonly type=vhd").size == inner.count)
            try scene.detach("disk")
            #expect(try scene.attach("\(name) readonly type=vhdx").infoText.contains("format: vhdx"))
            try scene.detach("disk")
        }
    }

    /// The first bytes of a fixed VHD are its guest's: a whole VHDX there changes nothing.
    @Test func theFooterOfAFixedVHDComesFirst() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            let inner = VHDXBuilder.small().build().content
            try scratch.write(VHDBuilder(.fixed, disk: inner).build().content, to: "a.vhd")
            let disk = try scene.attach("a.vhd readonly")
            #expect(disk.infoText.contains("format: vhd\nsubtype: fixed\n"))
            #expect(disk.size == inner.count)
            try scene.detach("a")
        }
    }

    /// The last bytes of a VHDX are its guest's: it must not be able to make it a VHD with a parent of its choice.
    @Test(arguments: [VHDBuilder.Subtype.dynamic, .differencing])
    func aGuestCannotMakeAVHDXAVHD(_ subtype: VHDBuilder.Subtype) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            let victim = try scene.makeVHD("victim.vhd")
            var inner = VHDBuilder(subtype, size: 65_536)
            if subtype == .differencing { inner.setParent(victim, file: "victim.vhd") }
            let footer = inner.footer(.tail)
            try scene.makeVHDX("a.vhdx") { builder in
                builder.disk.store(footer, at: builder.size - 512)
                builder.blocks[3] = .full
            }
            let tail = try scratch.read("a.vhdx")
            #expect(tail[tail.count - 512..<tail.count] == footer)
            let disk = try scene.attach("a.vhdx readonly")
            #expect(disk.infoText.contains("format: vhdx\n"))
            try scene.detach("a")
        }
    }

    @Test func typesThatTheContentContradicts() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHDX("a.vhdx")
            try scene.makeVHD("b.vhd")
            try scratch.write(Array("vhdxfile".utf8), to: "short.vhdx")
            scene.expectRefusal(.vhdDriveFooterMissing, of: "a.vhdx type=vhd")
            scene.expectRefusal(.fileCorrupt, of: "a.vhdx type=iso readonly")
            scene.expectRefusal(.fileCorrupt, of: "b.vhd type=vhdx")
            scene.expectRefusal(.fileCorrupt, of: "short.vhdx type=vhdx")
            try scene.attach("a.vhdx type=vhdx")
            try scene.detach("a")
        }
    }

    struct Damage: CustomTestStringConvertible, Sendable {
        var error: Win32Error
        var change: @Sendable (inout VHDXBuilder) -> Void
        var testDescription: String { error.name }

        init(_ error: Win32Error, _ change: @escaping @Sendable (inout VHDXBuilder) -> Void) {
            self.error = error
            self.change = change
        }
    }

    static let damages: [Damage] = [
        Damage(.fileCorrupt) { $0.edit(.header1, .header2, at: 4, UInt32(0), fixesChecksum: false) },
        Damage(.fileCorrupt) { $0.edit(.regions1, .regions2, at: 4, UInt32(0), fixesChecksum: false) },
        Damage(.fileCorrupt) { $0.edit(.metadata, at: 0, [0]) },
        Damage(.fileCorrupt) { $0.logGUID[3] = 1 },
        Damage(.vhdFormatUnsupportedVersion) { $0.edit(.header1, .header2, at: 66, UInt16(2)) },
        Damage(.vhdInvalidType) {
            $0.extraRegions = [.init(guid: [UInt8](repeating: 5, count: 16), offset: 8 << 20, length: 1 << 20)]
        },
        Damage(.vhdBlockAllocationTableCorrupt) { $0.entryOverrides[1] = 5 },
        Damage(.vhdInvalidFileSize) { $0.fileLength = 4 << 20 },
    ]

    @Test(arguments: damages)
    func damageHasItsCode(_ damage: Damage) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHDX("a.vhdx", change: damage.change)
            let before = try scratch.read("a.vhdx")
            let times = try timesAndSize(scratch.path("a.vhdx"))
            for words in ["", " readonly", " type=vhdx"] {
                scene.expectRefusal(damage.error, scratch.path("a.vhdx"), of: "a.vhdx" + words)
            }
            #expect(try scratch.read("a.vhdx") == before)
            #expect(try timesAndSize(scratch.path("a.vhdx")) == times)
        }
    }

    // MARK: Purity and the log

    @Test(arguments: VHDXBuilder.Subtype.allCases, [false, true])
    func attachingReadWriteChangesNoByteAndNoTime(_ subtype: VHDXBuilder.Subtype, isDirty: Bool) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            let parent = try scene.makeVHDX("parent.vhdx")
            let builder = try scene.makeVHDX("a.vhdx", subtype, fill: 2) { builder in
                if subtype == .differencing { builder.setParent(parent, file: "parent.vhdx") }
                if isDirty { builder.hide(.table) }
            }
            let shown = builder.shown(over: parent.shown()).bytes
            let files = ["a.vhdx", "parent.vhdx"]
            let before = try files.map { try (scratch.read($0), timesAndSize(scratch.path($0))) }
            for request in ["a.vhdx", "a.vhdx readonly"] {
                let disk = try scene.attach(request)
                #expect(try disk.allBytes() == shown)
                #expect(disk.infoText.contains("log_replayed_entries: 0") != isDirty, "\(disk.infoText)")
                try disk.synchronize()
                try scene.detach("a")
                for (file, before) in zip(files, before) {
                    #expect(try scratch.read(file) == before.0, "\(file)")
                    #expect(try timesAndSize(scratch.path(file)) == before.1, "\(file)")
                }
            }
        }
    }

    /// The log of a parent is replayed in memory too, and counted.
    @Test func dirtyParents() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            let parent = try scene.makeVHDX("parent.vhdx") { $0.hide(.table) { $0.pagesPerEntry = 1 } }
            let child = VHDXBuilder.child(of: parent, .relative("parent.vhdx"))
            try scratch.write(child.build().content, to: "child.vhdx")
            let alone = try scene.attach("parent.vhdx readonly")
            let entries = alone.facts.logReplayedEntries
            #expect(entries > 0)
            try scene.detach("parent")
            let before = try (scratch.read("parent.vhdx"), timesAndSize(scratch.path("parent.vhdx")))
            let disk = try scene.attach("child.vhdx")
            #expect(disk.facts.logReplayedEntries == entries)
            #expect(try disk.bytes((1 << 20)..<(1 << 20) + 2) == [1, 1])
            try disk.store([9], at: 1 << 20)
            #expect(try disk.bytes((1 << 20)..<(1 << 20) + 2) == [9, 1])
            try scene.detach("child")
            #expect(try scratch.read("parent.vhdx") == before.0)
            #expect(try timesAndSize(scratch.path("parent.vhdx")) == before.1)
        }
    }

    @Test func aDirtyLogIsEmptyAfterASessionOfWriting() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            let builder = try scene.makeVHDX("a.vhdx") { $0.hide(.table) }
            var model = builder.shown().bytes
            let disk = try scene.attach("a.vhdx")
            try disk.store([9], at: 3_000_000)
            model[3_000_000] = 9
            try scene.detach("a")
            let again = try scene.attach("a.vhdx readonly")
            #expect(again.facts.logReplayedEntries == 0)
            #expect(try again.allBytes() == model)
            try scene.detach("a")
        }
    }

    // MARK: Identities

    /// Writing changes what children record, and not what the disk is.
    @Test func theFirstWriteChangesTheDataWriteGUIDOnly() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHDX("a.vhdx", fill: 7)
            let disk = try scene.attach("a.vhdx")
            #expect(disk.facts.chain[0].identifier == "07070707-0707-0707-0707-070707070707")
            try disk.store([9], at: 0)
            let live = try #require(disk.facts.chain[0].identifier)
            #expect(live != "07070707-0707-0707-0707-070707070707")
            #expect(disk.facts.identifier == Self.diskID)
            try disk.store([8], at: 1)
            #expect(disk.facts.chain[0].identifier == live)
            try scene.detach("a")
            let again = try scene.attach("a.vhdx readonly")
            #expect(again.facts.chain[0].identifier == live)
            #expect(again.facts.identifier == Self.diskID)
            try scene.detach("a")
        }
    }

    /// A permanent attachment is made again after it was written to; another disk in its place is refused.
    @Test func permanentSurvivesWriting() throws {
        try withScratchFolder { scratch in
            func restart(_ scene: AttachScene) -> AttachScene {
                scene.table.endAll()
                let next = AttachScene(scratch, stateFolder: "state")
                next.table.reservePermanent()
                next.table.restorePermanent()
                return next
            }
            let first = AttachScene(scratch, stateFolder: "state")
            try first.makeVHDX("a.vhdx")
            try first.attach("a.vhdx permanent").store([9, 8], at: 0)
            let second = restart(first)
            let disk = try #require(second.table.attachments.first)
            #expect(try disk.bytes(0..<2) == [9, 8])
            try disk.store([7], at: 0)
            second.table.endAll()
            try second.makeVHDX("a.vhdx") { $0.virtualDiskID[0] = 99 }
            let third = restart(second)
            #expect(third.table.attachments.isEmpty)
            #expect(third.table.dormant.map(\.error.error) == [.vhdInvalidState])
            try third.detach("a")
        }
    }

    // MARK: Change tracking

    @Test(arguments: ["rct", "mrt"])
    func filesOfChangeTrackingAreMentioned(_ suffix: String) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHDX("a.vhdx")
            try scratch.write([1], to: "a.vhdx.\(suffix)")
            let disk = try scene.attach("a.vhdx")
            #expect(disk.infoText.contains("warnings: \(scratch.path("a.vhdx.\(suffix)")): "), "\(disk.infoText)")
            try disk.store([9], at: 0)
            try scene.detach("a")
            #expect(try scene.attach("a.vhdx readonly").infoText.contains("warnings: none"))
            try scene.detach("a")
        }
    }
}
