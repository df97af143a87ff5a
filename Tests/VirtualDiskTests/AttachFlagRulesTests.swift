import ControlLanguage
import TestSupport
import Testing
import VirtualDisk

/// ATTACH_VIRTUAL_DISK_FLAG and ATTACH_VIRTUAL_DISK_PARAMETERS, one rule a test (`virtdisk.md` §1).
struct AttachFlagRulesTests {
    @Test func noneIsReadWrite() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            let disk = try scene.attach("a.vhd")
            #expect(!disk.isReadOnly)
            #expect(disk.flags == [])
            try disk.store([9], at: 0)
            #expect(try disk.bytes(0..<1) == [9])
            try scene.detach("a")
        }
    }

    @Test(arguments: ["readonly", "ro", "read-only", "flags=1", "ATTACH_VIRTUAL_DISK_FLAG_READ_ONLY"])
    func readOnlyRefusesWrites(_ word: String) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            let disk = try scene.attach("a.vhd \(word)")
            #expect(disk.isReadOnly)
            #expect(disk.flags == .readOnly)
            #expect(throws: (any Error).self) { try disk.store([9], at: 0) }
            #expect(throws: (any Error).self) { try disk.zero(0..<4096) }
            #expect(disk.access.mode & 0o222 == 0)
            try scene.detach("a")
        }
    }

    @Test(arguments: [
        ("no-drive-letter", 0x02), ("no-local-host", 0x08), ("no-security-descriptor", 0x10),
        ("bypass-default-encryption-policy", 0x20),
    ])
    func everyFlagIsReported(_ word: String, _ bit: UInt32) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            let disk = try scene.attach("a.vhd \(word)")
            #expect(disk.flags.rawValue == bit)
            #expect(disk.infoText.contains("flags: \(word)\n"))
            #expect(String(decoding: disk.facts.json, as: UTF8.self).contains("\"\(word)\""))
            try scene.detach("a")
        }
    }

    @Test func bypassSaysThatItDoesNothingHere() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            let disk = try scene.attach("a.vhd bypass-default-encryption-policy")
            #expect(disk.infoText.contains("warnings: bypass-default-encryption-policy has no effect"))
            try scene.detach("a")
        }
    }

    @Test func allFlagsTogether() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch, stateFolder: "state")
            try scene.makeVHD("a.vhd")
            let disk = try scene.attach("a.vhd flags=0x3f")
            #expect(disk.flags == .valid)
            #expect(disk.lifetime == .permanent)
            try scene.detach("a")
        }
    }

    @Test(arguments: ["0x40", "0x80", "0x100", "0x200", "0x400", "0x80000000", "0x41", "4294967295"])
    func flagsAbove0x20AreInvalid(_ flags: String) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            scene.expectRefusal(.invalidParameter, "flags", of: "a.vhd flags=\(flags)")
        }
    }

    @Test(arguments: ["0", "2", "3"])
    func onlyVersion1(_ version: String) throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            scene.expectRefusal(.invalidParameter, "version", of: "a.vhd version=\(version)")
            try scene.attach("a.vhd version=1 provider-flags=0")
            try scene.detach("a")
        }
    }

    @Test func providerFlagsAreZero() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            scene.expectRefusal(.invalidParameter, "provider-flags", of: "a.vhd provider-flags=1")
        }
    }

    /// Parameters are judged before the file is looked at, as AttachVirtualDisk does.
    @Test func badParametersWinOverAMissingFile() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            scene.expectRefusal(.invalidParameter, of: "nowhere.vhd flags=0x40")
        }
    }

    @Test func aReadOnlyMountWantsReadOnly() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch, isReadOnly: true)
            try scene.makeVHD("a.vhd")
            scene.expectRefusal(.writeProtect, "readonly", of: "a.vhd")
            #expect(try scene.attach("a.vhd readonly").isReadOnly)
            try scene.detach("a")
        }
    }

    // MARK: Security descriptors

    @Test func aNullDescriptorIsTheImageFiles() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            try run("chmod", "0664", scratch.path("a.vhd")).checked()
            if isRoot { try run("chown", "1234:2345", scratch.path("a.vhd")).checked() }
            let disk = try scene.attach("a.vhd")
            if isRoot {
                #expect(disk.access.owner == 1234)
                #expect(disk.access.group == 2345)
            }
            #expect(disk.access.mode == 0o664)
            try scene.detach("a")
            #expect(try scene.attach("a.vhd readonly").access.mode == 0o444)
            try scene.detach("a")
        }
    }

    /// The caller who could open the image must be able to use what was asked for.
    @Test func aNullDescriptorThatWouldShutOutTheCallerGivesItToThem() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch, user: 4000)
            try scene.makeVHD("a.vhd")
            try run("chmod", "0644", scratch.path("a.vhd")).checked()
            let readable = try scene.attach("a.vhd readonly", as: scene.requester(4000, group: 4001))
            #expect(readable.access.owner == 0)
            #expect(readable.access.mode == 0o444)
            try scene.detach("a")
            // This opener opens as the tests' user, so that 4000 gets further than on a real host.
            let writable = try scene.attach("a.vhd", as: scene.requester(4000, group: 4001))
            #expect(writable.access.owner == 4000)
            #expect(writable.access.group == 4001)
            #expect(writable.access.mode == 0o600)
            try scene.detach("a")
        }
    }

    @Test func aDescriptorCounts() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            let disk = try scene.attach("a.vhd sd=O:S-1-22-1-77G:S-1-22-2-88D:(A;;FA;;;S-1-22-1-77)(A;;FR;;;WD)")
            #expect(disk.access.owner == 77)
            #expect(disk.access.group == 88)
            #expect(disk.access.mode == 0o644)
            try scene.detach("a")
        }
    }

    @Test func aDescriptorGivesNoWriteBitToAReadOnlyDisk() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            #expect(try scene.attach("a.vhd readonly sd=D:(A;;GA;;;WD)").access.mode == 0o444)
            try scene.detach("a")
            #expect(try scene.attach("a.vhd readonly mode=0666").access.mode == 0o444)
            try scene.detach("a")
        }
    }

    @Test func aSIDThatIsNobodyIsNamed() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            scene.expectRefusal(.invalidSID, "S-1-5-21-1-2-3-1001", of: "a.vhd sd=D:(A;;GA;;;S-1-5-21-1-2-3-1001)")
        }
    }

    @Test func aBrokenDescriptorIsInvalid() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            scene.expectRefusal(.invalidParameter, of: "a.vhd sd=D:(A;;GA;;")
        }
    }

    @Test func ownerGroupAndModeCount() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch)
            try scene.makeVHD("a.vhd")
            let disk = try scene.attach("a.vhd owner=5 group=6 mode=0777")
            #expect(disk.access.owner == 5)
            #expect(disk.access.group == 6)
            #expect(disk.access.mode == 0o666)
            try scene.detach("a")
        }
    }

    @Test func noSecurityDescriptorIsTheMountingUserAlone() throws {
        try withScratchFolder { scratch in
            let scene = AttachScene(scratch, user: 4000)
            try scene.makeVHD("a.vhd")
            let disk = try scene.attach("a.vhd no-security-descriptor sd=D:(A;;GA;;;WD)")
            #expect(disk.access.owner == 4000)
            #expect(disk.access.mode == 0o600)
            try scene.detach("a")
        }
    }
}
