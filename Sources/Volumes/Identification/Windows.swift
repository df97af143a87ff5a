internal import ByteIO

/// The file systems and containers of Windows.
extension VolumeIdentity {
    static func bitLocker(_ probe: Probe) -> VolumeIdentity? {
        guard probe.has("-FVE-FS-", at: 3) else { return nil }
        return VolumeIdentity(
            type: "BitLocker",
            states: ["encrypted"],
            recipe: "cryptsetup open --type bitlk --readonly FILE NAME"
        )
    }

    static func refs(_ probe: Probe) -> VolumeIdentity? {
        guard probe.has("ReFS\0\0\0\0", at: 3) else { return nil }
        return VolumeIdentity(
            type: "ReFS",
            uuid: probe.serial(56, 8),
            recipe: "only Windows reads ReFS: attach the image there"
        )
    }

    static func storageSpaces(_ probe: Probe) -> VolumeIdentity? {
        guard probe.has("SPACEDB ", at: 4096) else { return nil }
        return VolumeIdentity(
            type: "StorageSpaces",
            recipe: "only Windows reads Storage Spaces: attach all disks of the pool there"
        )
    }

    // MARK: NTFS

    static func ntfs(_ probe: Probe) -> VolumeIdentity? {
        guard probe.has("NTFS    ", at: 3) else { return nil }
        let sector = UInt64(probe.integer(UInt16.self, 11))
        let perCluster = probe.integer(UInt8.self, 13)
        guard [256, 512, 1024, 2048, 4096].contains(sector), perCluster > 0 else { return nil }
        // From 0x80 on it is the logarithm, negated.
        let sectors: UInt64 = perCluster <= 0x80 ? UInt64(perCluster) : 1 << UInt64(min(32, 256 - Int(perCluster)))
        var identity = VolumeIdentity(type: "ntfs", uuid: probe.serial(72, 8), reader: .process(.ntfs))
        let cluster = sector * sectors
        let recordField = Int8(bitPattern: probe.integer(UInt8.self, 64))
        let record = recordField > 0 ? UInt64(recordField) * cluster : 1 << UInt64(min(16, -Int(recordField)))
        let (table, overflow) = probe.integer(UInt64.self, 48).multipliedReportingOverflow(by: cluster)
        guard !overflow, table < 1 << 62, (512...65536).contains(record) else {
            identity.states.append("damaged: the boot sector says where no file table can be")
            return identity
        }
        readVolumeRecord(probe.bytes(table + 3 * record, Int(record)), sector: 512, into: &identity)
        return identity
    }

    /// The file `$Volume` (record 3 of the file table): its name and flags.
    private static func readVolumeRecord(_ stored: [UInt8], sector: Int, into identity: inout VolumeIdentity) {
        guard let record = try? restored(stored, sector: sector) else {
            identity.states.append("damaged: the record of $Volume can't be read")
            return
        }
        var place = Int((try? record.load(UInt16.self, at: 20, .little)) ?? 0)
        while let type = try? record.load(UInt32.self, at: place, .little), type != .max,
            let length = try? record.load(UInt32.self, at: place + 4, .little), length >= 24,
            let size = try? record.load(UInt32.self, at: place + 16, .little),
            let start = try? record.load(UInt16.self, at: place + 20, .little)
        {
            let isResident = (try? record.load(UInt8.self, at: place + 8, .little)) == 0
            let value =
                isResident && size <= record.count
                ? (try? record.bytes(at: place + Int(start), count: Int(size))) ?? [] : []
            if type == 0x60 { identity.label = Probe.trimmed(decodeUTF16(value, .little)) }
            if type == 0x70, let flags = try? value.load(UInt16.self, at: 10, .little), flags & 1 != 0 {
                identity.states.append("dirty")
            }
            guard length < record.count - place else { break }
            place += Int(length)
        }
    }

    /// A record with the last two bytes of each sector put back in their places (the update sequence).
    private static func restored(_ stored: [UInt8], sector: Int) throws(OutOfBounds) -> [UInt8]? {
        var record = stored
        guard stored.starts(with: "FILE".utf8) else { return nil }
        let array = Int(try stored.load(UInt16.self, at: 4, .little))
        let count = Int(try stored.load(UInt16.self, at: 6, .little))
        let number = try stored.bytes(at: array, count: 2)
        for index in 1..<max(1, count) {
            let end = index * sector - 2
            guard try stored.bytes(at: end, count: 2) == number else { return nil }
            record.store(try stored.bytes(at: array + 2 * index, count: 2), at: end)
        }
        return record
    }

    // MARK: FAT and exFAT

    static func exfat(_ probe: Probe) -> VolumeIdentity? {
        guard probe.has("EXFAT   ", at: 3) else { return nil }
        let sectorShift = UInt64(probe.integer(UInt8.self, 108))
        let clusterShift = UInt64(probe.integer(UInt8.self, 109))
        guard (9...12).contains(sectorShift), clusterShift <= 25 - sectorShift else { return nil }
        var identity = VolumeIdentity(type: "exfat", uuid: probe.dosSerial(100), reader: .process(.exfat))
        if probe.integer(UInt16.self, 106) & 2 != 0 { identity.states.append("dirty") }
        let heap = UInt64(probe.integer(UInt32.self, 88)) << sectorShift
        let root = UInt64(probe.integer(UInt32.self, 96))
        guard root >= 2 else { return identity }
        // The label stands at the beginning of the root folder.
        let entries = probe.bytes(heap + (root - 2) << (sectorShift + clusterShift), 4096)
        for place in stride(from: 0, to: entries.count - 31, by: 32) where entries[place] == 0x83 {
            let units = Int(min(11, entries[place + 1]))
            identity.label = Probe.trimmed(decodeUTF16(entries[place + 2..<place + 2 + 2 * units], .little))
        }
        return identity
    }

    /// FAT12, FAT16 and FAT32: the number of clusters alone decides which (Microsoft's FAT specification, section 3.5).
    static func fat(_ probe: Probe) -> VolumeIdentity? {
        let sector = UInt64(probe.integer(UInt16.self, 11))
        let perCluster = UInt64(probe.integer(UInt8.self, 13))
        let reserved = UInt64(probe.integer(UInt16.self, 14))
        let tables = UInt64(probe.integer(UInt8.self, 16))
        let rootEntries = UInt64(probe.integer(UInt16.self, 17))
        let media = probe.integer(UInt8.self, 21)
        guard [512, 1024, 2048, 4096].contains(sector), perCluster.nonzeroBitCount == 1, reserved > 0,
            (1...2).contains(tables), media == 0xF0 || media >= 0xF8, probe.integer(UInt16.self, 510) == 0xAA55
        else { return nil }
        let short = UInt64(probe.integer(UInt16.self, 22))
        let tableSectors = short != 0 ? short : UInt64(probe.integer(UInt32.self, 36))
        let few = UInt64(probe.integer(UInt16.self, 19))
        let sectors = few != 0 ? few : UInt64(probe.integer(UInt32.self, 32))
        let rootSectors = (rootEntries * 32 + sector - 1) / sector
        let meta = reserved + tables * tableSectors + rootSectors
        guard tableSectors > 0, sectors > meta else { return nil }
        let clusters = (sectors - meta) / perCluster
        let isFAT32 = short == 0
        var identity = VolumeIdentity(
            type: "vfat",
            uuid: probe.dosSerial(isFAT32 ? 67 : 39),
            reader: .process(.fat)
        )
        let isDirty =
            if isFAT32 {
                probe.integer(UInt32.self, reserved * sector + 4) & 0x0800_0000 == 0
            } else {
                clusters >= 4085 && probe.integer(UInt16.self, reserved * sector + 2) & 0x8000 == 0
            }
        if isDirty { identity.states.append("dirty") }
        let root =
            isFAT32
            ? (meta &+ (UInt64(probe.integer(UInt32.self, 44)) &- 2) &* perCluster) &* sector
            : (reserved + tables * tableSectors) * sector
        identity.label = fatLabel(probe.bytes(root & .max >> 2, 4096)) ?? bootLabel(probe, isFAT32 ? 71 : 43)
        return identity
    }

    /// The entry of the root folder that is the volume's name.
    private static func fatLabel(_ entries: [UInt8]) -> String? {
        for place in stride(from: 0, to: entries.count - 31, by: 32) {
            let attributes = entries[place + 11]
            if entries[place] == 0 { return nil }
            if entries[place] != 0xE5, attributes & 0x08 != 0, attributes & 0x3F != 0x0F {
                return Probe.trimmed(String(decoding: entries[place..<place + 11], as: UTF8.self))
            }
        }
        return nil
    }

    private static func bootLabel(_ probe: Probe, _ offset: UInt64) -> String? {
        guard [0x28, 0x29].contains(probe.integer(UInt8.self, offset - 5)), let label = probe.text(offset, 11) else {
            return nil
        }
        return label == "NO NAME" ? nil : label
    }
}
