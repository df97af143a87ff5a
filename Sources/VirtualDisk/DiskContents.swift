public import BlockDevice
public import PartitionTables
public import Volumes

/// What is on a disk: how it is divided, and what each part holds.
public struct DiskContents: Sendable {
    /// A part of the disk, or all of it, and what it holds.
    public struct Volume: Sendable {
        /// The partition's number; 0 is the whole disk.
        public var number: Int
        /// Where it lies on the disk, in bytes.
        public var range: Range<UInt64>
        /// What it holds; nil if nothing is known of it.
        public var identity: VolumeIdentity?
    }

    /// The partition table, if there is one.
    public var table: PartitionTable?
    /// What can be offered: the whole disk if it holds a file system, then the partitions, by number.
    public var volumes: [Volume] = []
    /// What is wrong, or could not be read.
    public var problems: [String] = []

    /// Nothing.
    public init() {}

    /// Looks at a disk; what can't be read becomes a problem.
    ///
    /// A boot sector may be a file system's or hold a partition table, and signatures may be left from an earlier life of the disk. So: a GUID
    /// partition table with sound checksums counts; then a file system that begins in the first sector; then a sound table; then any file system.
    /// On optical media a table may stand before the file system, and both count.
    public init(of device: any BlockDevice, logicalSectorSize: Int) {
        var identity: VolumeIdentity?
        do throws(DiskError) {
            identity = try VolumeIdentity.identify(device)
            let isOptical = identity.map { [.iso9660, .udf, .bridge].contains($0.reader) } ?? false
            table = try PartitionTable.read(
                device,
                logicalSectorSize: logicalSectorSize,
                allowsOverlap: isOptical && device.isReadOnly
            )
            if !isOptical { Self.decide(&identity, &table, &problems) }
        } catch {
            problems.append("what is on the disk can't be read: \(error)")
        }
        if let identity { volumes.append(Volume(number: 0, range: 0..<device.size, identity: identity)) }
        for partition in table?.partitions ?? [] where partition.problem == nil {
            var volume = Volume(number: partition.number, range: partition.range)
            do throws(DiskError) {
                volume.identity = try VolumeIdentity.identify(Slice(device, range: partition.range))
            } catch {
                problems.append("what is on p\(partition.number) can't be read: \(error)")
            }
            volumes.append(volume)
        }
    }

    /// Which of the two a disk is, when it looks like both.
    private static func decide(
        _ identity: inout VolumeIdentity?,
        _ table: inout PartitionTable?,
        _ problems: inout [String]
    ) {
        guard let whole = identity, let found = table else { return }
        let isSound = found.problems.isEmpty && found.partitions.contains { $0.problem == nil }
        if found.kind == .gpt && !found.partitions.isEmpty || isSound && whole.leavesFirstSector {
            problems.append(
                "the signature of \(whole.type) on the whole disk is passed over: there is a partition table"
            )
            identity = nil
        } else {
            table = nil
        }
    }
}
