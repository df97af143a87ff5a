import BlockDevice
import Platform
import SystemPackage
import TestSupport
import Testing
import VirtualDisk

/// Providers are found by content, and each says what is wrong in Windows' words (`virtdisk.md` §3, CONTRACT.md §3.5).
struct AttachFormatRulesTests {
    @Test(arguments: ["fixed", "dynamic"])
    func aVHDIsKnownByItsContent(_ kind: String) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("disk.iso", kind == "fixed" ? .fixed : .dynamic, fill: 7)
            let disk = try scene.attach("disk.iso")
            #expect(disk.size == 65_536)
            #expect(try disk.allBytes() == VHDBuilder.small(fill: 7).disk.bytes)
            #expect(disk.infoText.contains("format: vhd\nsubtype: \(kind)\n"))
            #expect(disk.infoText.contains("identifier: 07070707-0707-0707-0707-070707070707\n"))
            try scene.detach("disk")
        }
    }

    @Test func noProvider() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scratch.write([UInt8](repeating: 7, count: 65_536), to: "text.vhd")
            try scratch.write([UInt8](), to: "empty.vhd")
            scene.expectRefusal(.virtDiskProviderNotFound, "type=raw", of: "text.vhd")
            scene.expectRefusal(.virtDiskProviderNotFound, of: "empty.vhd readonly")
        }
    }

    @Test func rawOnlyWhenAskedFor() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scratch.write([UInt8](repeating: 7, count: 70_000), to: "a.img")
            let disk = try scene.attach("a.img type=raw")
            #expect(disk.size == 70_000)
            try disk.store([1, 2, 3], at: 69_997)
            try scene.detach("a")
            #expect(try scratch.read("a.img")[69_996..<70_000] == [7, 1, 2, 3])
        }
    }

    /// Raw is what it says, whatever the bytes look like.
    @Test func rawOfAVHDShowsTheFileItself() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            let disk = try scene.attach("a.vhd type=raw readonly")
            #expect(try disk.bytes(0..<8) == Array("conectix".utf8))
            #expect(disk.infoText.contains("format: raw"))
            try scene.detach("a")
        }
    }

    @Test func typesThatTheContentContradicts() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            try scene.makeISO("b.iso")
            scene.expectRefusal(.vhdDriveFooterMissing, of: "b.iso type=vhd readonly")
            scene.expectRefusal(.fileCorrupt, of: "a.vhd type=iso readonly")
            try scene.attach("a.vhd type=vhd")
            try scene.attach("b.iso type=iso readonly")
            try scene.detach("a")
            try scene.detach("b")
        }
    }

    // MARK: ISO

    @Test func anISOWantsReadOnly() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeISO("a.iso")
            scene.expectRefusal(.writeProtect, "readonly", of: "a.iso")
            scene.expectRefusal(.writeProtect, "readonly", of: "a.iso type=iso")
            scene.expectRefusal(.writeProtect, "readonly", of: "a.iso no-local-host")
            let disk = try scene.attach("a.iso readonly")
            #expect(disk.isReadOnly)
            #expect(try disk.allBytes() == ISOBuilder.iso9660().content.bytes)
            #expect(disk.infoText.contains("format: iso\n"))
            #expect(disk.infoText.contains("logical_sector_size: 2048\n"))
            try scene.detach("a")
        }
    }

    @Test(.enabled(if: isRoot, "only root can pass for others"))
    func anISOThatMayNotBeWrittenGetsTheSameAnswer() throws {
        try withScratchFolder { scratch in
            try run("chmod", "0755", scratch.path).checked()
            let scene = AttachScene(scratch, opener: try HelperOpener.start(), user: 4000)
            try scene.makeISO("a.iso")
            try run("chmod", "0444", scratch.path("a.iso")).checked()
            scene.expectRefusal(.writeProtect, "readonly", of: "a.iso", as: scene.requester(4000, group: 4000))
        }
    }

    @Test func anISOIsForTheLocalHost() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeISO("a.iso")
            scene.expectRefusal(.notSupported, "no-local-host", of: "a.iso readonly no-local-host")
            // Its lock went too.
            try scene.attach("a.iso readonly")
            try scene.detach("a")
        }
    }

    // MARK: Damage

    struct Damage: CustomTestStringConvertible, Sendable {
        var error: Win32Error
        var change: @Sendable (inout VHDBuilder) -> Void
        var testDescription: String { error.name }

        init(_ error: Win32Error, _ change: @escaping @Sendable (inout VHDBuilder) -> Void) {
            self.error = error
            self.change = change
        }
    }

    static let damages: [Damage] = [
        // With its copy and its end both wrong, only the provider that was asked for can say so.
        Damage(.vhdDriveFooterMissing) { $0.edit(.copy, .tail, at: 0, Array("conectiX".utf8)) },
        Damage(.vhdDriveFooterChecksumMismatch) { $0.edit(.copy, .tail, at: 64, UInt32(1), fixesChecksum: false) },
        Damage(.vhdDriveFooterCorrupt) { $0.edit(.copy, .tail, at: 60, UInt32(77)) },
        Damage(.vhdFormatUnsupportedVersion) { $0.edit(.copy, .tail, at: 12, UInt32(0x0002_0000)) },
        Damage(.vhdSparseHeaderChecksumMismatch) { $0.edit(.header, at: 36, UInt32(1), fixesChecksum: false) },
        Damage(.vhdSparseHeaderUnsupportedVersion) { $0.edit(.header, at: 24, UInt32(0x0002_0000)) },
        Damage(.vhdInvalidBlockSize) { $0.edit(.header, at: 32, UInt32(0)) },
        Damage(.vhdInvalidSize) { $0.edit(.copy, .tail, at: 48, UInt64(0)) },
        Damage(.vhdBlockAllocationTableCorrupt) {
            $0.blocks[2] = []
            $0.entryOverrides[2] = 4
        },
    ]

    @Test(arguments: damages)
    func damageHasItsCode(_ damage: Damage) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd", change: damage.change)
            let before = try scratch.read("a.vhd")
            let times = try timesAndSize(scratch.path("a.vhd"))
            scene.expectRefusal(damage.error, scratch.path("a.vhd"), of: "a.vhd type=vhd")
            #expect(try scratch.read("a.vhd") == before)
            #expect(try timesAndSize(scratch.path("a.vhd")) == times)
        }
    }

    @Test func aFileCutShortHasTheFileSizesCode() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            let builder = VHDBuilder.small(.fixed)
            var content = builder.build().content
            content.resize(to: 8192)
            content.store(builder.footer(.tail), at: 8192)
            try scratch.write(content, to: "a.vhd")
            scene.expectRefusal(.vhdInvalidFileSize, of: "a.vhd readonly")
        }
    }

    // MARK: VHD Sets

    /// Nothing is known of a set but its name; the answer names the disks that it is made of.
    @Test(arguments: ["Data.vhds", "Data.VHDS readonly", "data.vhds type=vhdset"])
    func aVHDSetNamesItsDisks(_ request: String) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            let file = request.split(separator: " ").first.map(String.init) ?? ""
            try scratch.write([UInt8](repeating: 3, count: 260 << 10), to: file)
            let members = [1, 2].map { "Data_12345678-9ABC-DEF0-1234-56789ABCDEF\($0).avhdx" }
            for member in members + ["Other_12345678-9ABC-DEF0-1234-56789ABCDEF1.avhdx", "Data.avhdx"] {
                try scratch.write([1], to: member)
            }
            let refused = scene.expectRefusal(.vhdInvalidType, "VHD Set", members[0], members[1], of: request)
            #expect(refused?.text.contains("Other") == false)
            #expect(refused?.text.contains("Data.avhdx") == false)
        }
    }

    @Test func aVHDSetWithoutDisks() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scratch.write([UInt8](repeating: 3, count: 260 << 10), to: "a.vhds")
            scene.expectRefusal(.vhdInvalidType, "VHD Set", "beside it", of: "a.vhds")
            scene.expectRefusal(.fileCorrupt, of: "a.vhds type=vhdx")
            try scene.makeVHD("b.vhds")
            // Content decides where it is known.
            #expect(try scene.attach("b.vhds").size == 65_536)
            try scene.detach("b")
            scene.expectRefusal(.vhdInvalidType, "VHD Set", of: "b.vhds type=vhdset")
        }
    }

    // MARK: The table of kinds

    /// Kind, Win32 code, errno of an attach, errno of a read or write: by hand, from `formats.md` §0.1 and `virtdisk.md` §3.3.
    static let kinds: [(DiskError.Kind, UInt32, CInt, CInt)] = [
        (.notRecognized, 0xC03A_0014, 19, 5),
        (.unsupportedVersion, 0xC03A_0005, 93, 5),
        (.unsupportedHeaderVersion, 0xC03A_0007, 93, 5),
        (.unsupportedFeature, 0xC03A_001B, 95, 5),
        (.footerMissing, 0xC03A_0001, 117, 5),
        (.footerChecksum, 0xC03A_0002, 74, 5),
        (.footerCorrupt, 0xC03A_0003, 117, 5),
        (.headerChecksum, 0xC03A_0006, 74, 5),
        (.headerCorrupt, 0xC03A_0008, 117, 5),
        (.allocationTableCorrupt, 0xC03A_000A, 117, 5),
        (.invalidBlockSize, 0xC03A_000B, 117, 5),
        (.bitmapMismatch, 0xC03A_000C, 117, 5),
        (.invalidSize, 0xC03A_0012, 117, 5),
        (.fileCorrupt, 1392, 117, 5),
        (.truncated, 0xC03A_0013, 117, 5),
        (.limit, 0xC03A_001A, 95, 5),
        (.parentNotFound, 0xC03A_000D, 67, 5),
        (.parentAccess, 0xC03A_0016, 13, 5),
        (.parentIDMismatch, 0xC03A_000E, 116, 5),
        (.parentSizeMismatch, 0xC03A_0017, 116, 5),
        (.chainCycle, 0xC03A_0018, 40, 5),
        (.errorInParent, 0xC03A_0019, 121, 5),
        (.readOnly, 19, 30, 30),
        (.hasChildren, 19, 30, 1),
        (.noSpace, 112, 28, 28),
        (.outOfRange, 87, 22, 28),
        (.io, 0xC03A_0010, 5, 5),
        (.poisoned, 0xC03A_0011, 5, 5),
        (.interrupted, 995, 4, 4),
        (.silent, 1460, 110, 110),
        (.gone, 55, 6, 6),
    ]

    @Test func everyKindHasItsCodeAndErrno() {
        #expect(Set(Self.kinds.map(\.0)) == Set(DiskError.Kind.allCases))
        for (kind, code, attachErrno, ioErrno) in Self.kinds {
            #expect(Win32Error(kind).code == code, "\(kind)")
            #expect(Win32Error(kind).errno.rawValue == attachErrno, "\(kind)")
            #expect(DiskError(kind, "").ioErrno.rawValue == ioErrno, "\(kind)")
        }
    }
}
