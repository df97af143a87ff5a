public import BlockDevice
internal import ByteIO

extension PartitionTable {
    /// Reads the partition table of a disk; nil if it has none.
    ///
    /// What can't be offered has a `problem`: it lies past the end of the disk, or shares bytes with another partition (then neither is offered:
    /// which of them is right, the table does not tell).
    ///
    /// - Parameters:
    ///   - logicalSectorSize: bytes of the disk's sectors, which the table should count in. Other sizes are tried where that does not fit.
    ///   - allowsOverlap: partitions may lie in each other, as on hybrid optical media.
    public static func read(
        _ device: any BlockDevice,
        logicalSectorSize: Int,
        allowsOverlap: Bool = false
    ) throws(DiskError) -> PartitionTable? {
        let record = MasterBootRecord(try device.readBytes(at: 0, count: 512))
        var table: PartitionTable?
        // A GUID partition table counts only where the master boot record names it, or where there is none.
        if record?.namesGPT ?? true { table = try readGPT(device, logicalSectorSize, hasRecord: record != nil) }
        if table == nil, let record { table = try readMBR(record, device, logicalSectorSize) }
        table?.judge(size: device.size, allowsOverlap: allowsOverlap)
        return table
    }

    private static func sectorSizes(_ own: Int) -> [Int] {
        [own] + [512, 4096].filter { $0 != own }
    }

    // MARK: GPT

    private static func readGPT(
        _ device: any BlockDevice,
        _ own: Int,
        hasRecord: Bool
    ) throws(DiskError) -> PartitionTable? {
        var problems = hasRecord ? [] : ["the master boot record that protects the table is missing"]
        for size in sectorSizes(own) {
            switch try GUIDPartitionTable.read(device, headerAt: 1, sectorSize: size) {
            case .success(let found): return PartitionTable(found, sectorSize: size, problems: problems)
            case .failure(let damage): problems.append("the primary table is damaged: \(damage.text)")
            case nil: break
            }
        }
        // Without a trace of the primary one, what stands at the end may be left from another life of the disk.
        guard hasRecord || problems.count > 1 else { return nil }
        for size in sectorSizes(own) where device.size >= 3 * UInt64(size) {
            let last = device.size / UInt64(size) - 1
            switch try GUIDPartitionTable.read(device, headerAt: last, sectorSize: size) {
            case .success(let found):
                return PartitionTable(found, sectorSize: size, problems: problems + ["the backup table is used"])
            case .failure(let damage): problems.append("the backup table is damaged: \(damage.text)")
            case nil: break
            }
        }
        return problems.isEmpty ? nil : PartitionTable(kind: .gpt, sectorSize: own, partitions: [], problems: problems)
    }

    private init(_ table: GUIDPartitionTable, sectorSize: Int, problems: [String]) {
        self.init(
            kind: .gpt,
            identifier: table.diskGUID.windowsText.uppercased(),
            sectorSize: sectorSize,
            partitions: table.partitions,
            problems: problems
        )
    }

    // MARK: MBR

    private static func readMBR(
        _ record: MasterBootRecord,
        _ device: any BlockDevice,
        _ own: Int
    ) throws(DiskError) -> PartitionTable? {
        let used = record.entries.filter { $0.isUsed && $0.type != 0xEE }
        guard !used.isEmpty else { return nil }
        // The first size with which everything lies on the disk.
        let end = used.map { UInt64($0.start) + UInt64($0.count) }.max() ?? 0
        // Optical disks have sectors of 2048 bytes, and tables that count in 512.
        let sizes = own == 2048 ? [512] : sectorSizes(own)
        let size = sizes.first { end * UInt64($0) <= device.size } ?? sizes[0]
        let (partitions, problems) = try record.partitions(on: device, sectorSize: size)
        return PartitionTable(
            kind: .mbr,
            identifier: "0x" + hexadecimal(record.signature),
            sectorSize: size,
            partitions: partitions,
            problems: problems
        )
    }

    private static func hexadecimal(_ value: UInt32) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: 8 - text.count) + text
    }

    // MARK: Judging

    private mutating func judge(size: UInt64, allowsOverlap: Bool) {
        for index in partitions.indices where partitions[index].problem == nil {
            let range = partitions[index].range
            if range.isEmpty {
                partitions[index].problem = "it is empty"
            } else if range.upperBound > size {
                partitions[index].problem =
                    "it reaches to byte \(range.upperBound), past the end of the disk at \(size)"
            }
        }
        guard !allowsOverlap else { return }
        let whole = partitions.filter { !$0.range.isEmpty && $0.problem != MasterBootRecord.container }
            .sorted { ($0.range.lowerBound, $0.number) < ($1.range.lowerBound, $1.number) }
        // With `furthest` of all that begin earlier, each overlap shows at the later of the two.
        var furthest = whole.first
        for partition in whole.dropFirst() {
            if let other = furthest, other.range.upperBound > partition.range.lowerBound {
                setOverlap(partition.number, with: other.number)
                setOverlap(other.number, with: partition.number)
            }
            if partition.range.upperBound > furthest?.range.upperBound ?? 0 { furthest = partition }
        }
    }

    private mutating func setOverlap(_ number: Int, with other: Int) {
        guard let index = partitions.firstIndex(where: { $0.number == number }), partitions[index].problem == nil else {
            return
        }
        partitions[index].problem = "it overlaps partition \(other)"
    }
}
