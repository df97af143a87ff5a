public import BlockDevice

extension VolumeIdentity {
    /// Tells what is on a volume; nil if nothing is known of it.
    ///
    /// Reads a few KiB. What stands in the first sector counts before what stands behind it, which may be left from an earlier life; throws when
    /// the first sectors can't be read.
    public static func identify(_ device: any BlockDevice) throws(DiskError) -> VolumeIdentity? {
        let probe = try Probe(device)
        for identify in inFirstSector {
            if let found = identify(probe) { return found }
        }
        for identify in behind {
            if var found = identify(probe) {
                found.leavesFirstSector = true
                return found
            }
        }
        return nil
    }

    private typealias Identify = @Sendable (Probe) -> VolumeIdentity?

    private static let inFirstSector: [Identify] = [
        bitLocker, luks, ntfs, exfat, refs, xfs, squashfs, apfs, lvm, raid, fat,
    ]
    private static let behind: [Identify] = [
        swap, ext, hfsPlus, erofs, f2fs, storageSpaces, optical, btrfs, reiserfs, jfs, zfs, vmfs,
    ]
}
