internal import BlockDevice
internal import ByteIO

/// The file systems and containers of Linux and other systems of its kind.
extension VolumeIdentity {
    static func ext(_ probe: Probe) -> VolumeIdentity? {
        guard probe.integer(UInt16.self, 1080) == 0xEF53, probe.integer(UInt32.self, 1024 + 24) <= 6 else { return nil }
        let compatible = probe.integer(UInt32.self, 1024 + 0x5C)
        let incompatible = probe.integer(UInt32.self, 1024 + 0x60)
        let readOnly = probe.integer(UInt32.self, 1024 + 0x64)
        let (label, uuid) = (probe.text(1024 + 0x78, 16), probe.uuid(1024 + 0x68))
        if incompatible & 0x08 != 0 {
            return VolumeIdentity(type: "jbd", label: label, uuid: uuid, recipe: "it is the journal of another volume")
        }
        // What ext3 knows: file types, recovery, meta block groups; sparse superblocks, large files, B-trees.
        let isNewer = incompatible & ~0x16 != 0 || readOnly & ~0x07 != 0
        var states: [String] = []
        let state = probe.integer(UInt16.self, 1024 + 0x3A)
        if incompatible & 0x04 != 0 { states.append("needs recovery") }
        if state & 1 == 0 { states.append("not cleanly unmounted") }
        if state & 2 != 0 { states.append("has errors") }
        return VolumeIdentity(
            type: isNewer ? "ext4" : compatible & 0x04 != 0 ? "ext3" : "ext2",
            label: label,
            uuid: uuid,
            states: states,
            // libtsk does not know clusters of several blocks (bigalloc).
            reader: readOnly & 0x200 == 0 ? .process(.ext) : .none,
            recipe: readOnly & 0x200 == 0 ? nil : mount
        )
    }

    private static let mount = "mount -o loop,ro FILE /mnt"

    static func xfs(_ probe: Probe) -> VolumeIdentity? {
        guard probe.has("XFSB", at: 0) else { return nil }
        return VolumeIdentity(
            type: "xfs",
            label: probe.text(108, 12),
            uuid: probe.uuid(32),
            recipe: "mount -o loop,ro,norecovery FILE /mnt"
        )
    }

    static func btrfs(_ probe: Probe) -> VolumeIdentity? {
        guard probe.has("_BHRfS_M", at: 65536 + 64) else { return nil }
        return VolumeIdentity(
            type: "btrfs",
            label: probe.text(65536 + 299, 256),
            uuid: probe.uuid(65536 + 32),
            recipe: mount
        )
    }

    static func squashfs(_ probe: Probe) -> VolumeIdentity? {
        guard probe.has("hsqs", at: 0) else { return nil }
        return VolumeIdentity(type: "squashfs", recipe: mount)
    }

    static func erofs(_ probe: Probe) -> VolumeIdentity? {
        guard probe.integer(UInt32.self, 1024) == 0xE0F5_E1E2 else { return nil }
        return VolumeIdentity(
            type: "erofs",
            label: probe.text(1024 + 64, 16),
            uuid: probe.uuid(1024 + 48),
            recipe: mount
        )
    }

    static func f2fs(_ probe: Probe) -> VolumeIdentity? {
        guard probe.integer(UInt32.self, 1024) == 0xF2F5_2010 else { return nil }
        return VolumeIdentity(
            type: "f2fs",
            label: probe.text16(1024 + 124, 1024, .little),
            uuid: probe.uuid(1024 + 108),
            recipe: mount
        )
    }

    static func reiserfs(_ probe: Probe) -> VolumeIdentity? {
        guard probe.has("ReIsEr", at: 65536 + 52) else { return nil }
        return VolumeIdentity(
            type: "reiserfs",
            label: probe.text(65536 + 100, 16),
            uuid: probe.uuid(65536 + 84),
            recipe: "grub-mount FILE /mnt"
        )
    }

    static func jfs(_ probe: Probe) -> VolumeIdentity? {
        guard probe.has("JFS1", at: 32768) else { return nil }
        return VolumeIdentity(
            type: "jfs",
            label: probe.text(32768 + 152, 16),
            uuid: probe.uuid(32768 + 136),
            recipe: mount
        )
    }

    static func apfs(_ probe: Probe) -> VolumeIdentity? {
        guard probe.has("NXSB", at: 32) else { return nil }
        return VolumeIdentity(type: "apfs", uuid: probe.uuid(72), recipe: "apfs-fuse FILE /mnt")
    }

    static func zfs(_ probe: Probe) -> VolumeIdentity? {
        // The ring of uberblocks; which of them are used changes with time.
        let ring = probe.bytes(128 << 10, 128 << 10)
        for place in stride(from: 0, to: ring.count - 7, by: 1024) {
            let magic = (try? ring.load(UInt64.self, at: place, .little)) ?? 0
            if magic == 0x00BA_B10C || magic.byteSwapped == 0x00BA_B10C {
                return VolumeIdentity(type: "zfs_member", recipe: "zpool import -o readonly=on -d FOLDER POOL")
            }
        }
        return nil
    }

    static func vmfs(_ probe: Probe) -> VolumeIdentity? {
        guard probe.integer(UInt32.self, 1 << 20) == 0xC001_D00D else { return nil }
        return VolumeIdentity(type: "VMFS_volume_member", recipe: "vmfs6-fuse FILE /mnt")
    }

    // MARK: Containers

    static func swap(_ probe: Probe) -> VolumeIdentity? {
        for page: UInt64 in [4096, 8192, 16384, 65536] {
            guard probe.has("SWAPSPACE2", at: page - 10) || probe.has("SWAP-SPACE", at: page - 10) else { continue }
            return VolumeIdentity(type: "swap", label: probe.text(1052, 16), uuid: probe.uuid(1036))
        }
        return nil
    }

    static func luks(_ probe: Probe) -> VolumeIdentity? {
        guard probe.bytes(0, 6) == Array("LUKS".utf8) + [0xBA, 0xBE] else { return nil }
        let version = probe.integer(UInt16.self, 6, .big)
        return VolumeIdentity(
            type: "crypto_LUKS",
            label: version == 2 ? probe.text(24, 48) : nil,
            uuid: probe.text(168, 40),
            states: ["encrypted"],
            recipe: "cryptsetup open --readonly FILE NAME"
        )
    }

    static func lvm(_ probe: Probe) -> VolumeIdentity? {
        for sector: UInt64 in [0, 512, 1024, 1536] {
            guard probe.has("LABELONE", at: sector), probe.has("LVM2 001", at: sector + 24) else { continue }
            let offset = UInt64(probe.integer(UInt32.self, sector + 20))
            let text = Array(String(decoding: probe.bytes(sector + offset, 32), as: UTF8.self))
            var uuid = ""
            for (index, character) in text.enumerated() {
                if [6, 10, 14, 18, 22, 26].contains(index) { uuid.append("-") }
                uuid.append(character)
            }
            return VolumeIdentity(
                type: "LVM2_member",
                uuid: uuid,
                recipe: "losetup -r -f --show FILE && vgchange -ay"
            )
        }
        return nil
    }

    static func raid(_ probe: Probe) -> VolumeIdentity? {
        let size = probe.device.size
        var places: [UInt64] = [0, 4096]
        if size >= 16384 { places.append((size - 8192) / 4096 * 4096) }
        let recipe = "losetup -r -f --show FILE && mdadm --assemble --readonly --scan"
        for place in places where probe.integer(UInt32.self, place) == 0xA92B_4EFC {
            guard probe.integer(UInt32.self, place + 4) == 1 else { continue }
            return VolumeIdentity(
                type: "linux_raid_member",
                label: probe.text(place + 32, 32),
                uuid: probe.uuid(place + 16),
                recipe: recipe
            )
        }
        guard size >= 131_072 else { return nil }
        let old = size / 65536 * 65536 - 65536
        guard probe.integer(UInt32.self, old) == 0xA92B_4EFC, probe.integer(UInt32.self, old + 4) == 0 else {
            return nil
        }
        return VolumeIdentity(type: "linux_raid_member", recipe: recipe)
    }
}
