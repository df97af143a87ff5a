internal import BlockDevice
internal import ByteIO

/// A master boot record, and the extended boot records that it leads to.
struct MasterBootRecord {
    /// One of the four entries of a boot record.
    struct Entry {
        var flag: UInt8
        var type: UInt8
        /// In sectors.
        var start: UInt32
        /// In sectors.
        var count: UInt32

        var isUsed: Bool { type != 0 && count != 0 }
        var isExtended: Bool { [0x05, 0x0F, 0x85].contains(type) }
    }

    let entries: [Entry]
    /// The disk's signature.
    let signature: UInt32

    /// Whether it is there only to protect a GUID partition table, or stands beside one.
    var namesGPT: Bool { entries.contains { $0.type == 0xEE } }

    /// Reads the first sector of a disk; nil if that is no master boot record.
    ///
    /// Boot sectors of file systems end in 55 AA too: their parameters tell them apart, and flags that no partition has.
    init?(_ sector: [UInt8]) {
        guard let entries = Self.entries(of: sector), entries.allSatisfy({ $0.flag & 0x7F == 0 }),
            !Self.isFileSystem(sector)
        else { return nil }
        self.entries = entries
        signature = (try? sector.load(UInt32.self, at: 440, .little)) ?? 0
    }

    /// The four entries of a boot record; nil without the mark at its end.
    static func entries(of sector: [UInt8]) -> [Entry]? {
        guard let mark = try? sector.load(UInt16.self, at: 510, .little), mark == 0xAA55 else { return nil }
        return (0..<4).compactMap { index in
            let place = 446 + 16 * index
            guard let flag = try? sector.load(UInt8.self, at: place, .little),
                let type = try? sector.load(UInt8.self, at: place + 4, .little),
                let start = try? sector.load(UInt32.self, at: place + 8, .little),
                let count = try? sector.load(UInt32.self, at: place + 12, .little)
            else { return nil }
            return Entry(flag: flag, type: type, start: start, count: count)
        }
    }

    /// Whether a sector is the boot sector of FAT, exFAT, NTFS, BitLocker or ReFS.
    private static func isFileSystem(_ sector: [UInt8]) -> Bool {
        let name = sector[3..<min(11, sector.count)]
        if ["NTFS    ", "EXFAT   ", "-FVE-FS-"].contains(where: { name.elementsEqual($0.utf8) }) { return true }
        if sector[3..<min(7, sector.count)].elementsEqual("ReFS".utf8) { return true }
        guard let bytes = try? sector.load(UInt16.self, at: 11, .little), [512, 1024, 2048, 4096].contains(bytes),
            let cluster = try? sector.load(UInt8.self, at: 13, .little), cluster.nonzeroBitCount == 1,
            let reserved = try? sector.load(UInt16.self, at: 14, .little), reserved > 0,
            let tables = try? sector.load(UInt8.self, at: 16, .little), (1...2).contains(tables),
            let media = try? sector.load(UInt8.self, at: 21, .little)
        else { return false }
        return media == 0xF0 || media >= 0xF8
    }
}

extension MasterBootRecord {
    /// The most logical partitions that are followed.
    private static let logicalLimit = 256

    /// All partitions: the primary ones by their slots, then the logical ones from 5 on.
    func partitions(
        on device: any BlockDevice,
        sectorSize: Int
    ) throws(DiskError) -> (partitions: [Partition], problems: [String]) {
        var partitions: [Partition] = []
        var problems: [String] = []
        var logical = 5
        for (index, entry) in entries.enumerated() where entry.isUsed {
            let range = Self.range(UInt64(entry.start), UInt64(entry.count), sectorSize)
            var partition = Partition(number: index + 1, range: range, entry.type)
            if entry.isExtended { partition.problem = Self.container }
            partitions.append(partition)
        }
        for entry in entries where entry.isUsed && entry.isExtended {
            let found = try Self.logical(in: entry, on: device, sectorSize: sectorSize, from: &logical)
            partitions += found.partitions
            problems += found.problems
        }
        return (partitions, problems)
    }

    /// Why an extended partition is not offered.
    static let container = "it only holds the logical partitions"

    /// Follows the chain of extended boot records.
    private static func logical(
        in container: Entry,
        on device: any BlockDevice,
        sectorSize: Int,
        from number: inout Int
    ) throws(DiskError) -> (partitions: [Partition], problems: [String]) {
        var partitions: [Partition] = []
        var visited: Set<UInt64> = []
        let base = UInt64(container.start)
        var place = base
        while true {
            guard visited.insert(place).inserted else {
                return (partitions, ["the chain of logical partitions comes back to sector \(place)"])
            }
            guard visited.count <= logicalLimit else {
                return (
                    partitions, ["there are more than \(logicalLimit) logical partitions; the others are not shown"]
                )
            }
            let sector = try device.readBytes(at: place &* UInt64(sectorSize), count: 512)
            guard sector.count == 512, let entries = entries(of: sector) else {
                return (
                    partitions, ["the extended boot record at sector \(place) is missing or has no mark at its end"]
                )
            }
            for entry in entries where entry.isUsed && !entry.isExtended {
                let range = range(place + UInt64(entry.start), UInt64(entry.count), sectorSize)
                partitions.append(Partition(number: number, range: range, entry.type))
                number += 1
            }
            guard let next = entries.first(where: { $0.isUsed && $0.isExtended }) else { return (partitions, []) }
            place = base + UInt64(next.start)
        }
    }

    /// Sectors of 32-bit numbers as bytes: that fits.
    private static func range(_ start: UInt64, _ count: UInt64, _ sectorSize: Int) -> Range<UInt64> {
        let size = UInt64(sectorSize)
        return start * size..<(start + count) * size
    }
}

extension Partition {
    fileprivate init(number: Int, range: Range<UInt64>, _ type: UInt8) {
        self.init(number: number, range: range, type: String(type, radix: 16), typeName: PartitionTypes.mbr[type])
    }
}
