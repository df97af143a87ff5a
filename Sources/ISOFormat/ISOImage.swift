public import BlockDevice

/// ISO 9660, High Sierra and UDF images: recognised by their descriptors, shown byte for byte, never written (formats.md §5).
public enum ISOImage {
    /// What was found in an image.
    public struct Facts: Sendable {
        /// Which descriptors there are, such as `ISO 9660` or `UDF (NSR03)`.
        public let subtype: String
        /// What tells this image from another one: volume name and creation time of the primary descriptor, or nil.
        public let identifier: String?
        /// What a user should know, in words.
        public let warnings: [String]
    }

    /// The sector size that drives report for such media.
    public static let sectorSize = 2048

    /// Looks for the descriptors. Nil when the file has none; throws `unsupportedFeature` for images of raw CD sectors and the like, which
    /// hold a file system but not in 2,048-byte sectors.
    public static func recognize(_ file: any HostFile) throws(DiskError) -> Facts? {
        let descriptors = try VolumeDescriptors(of: file)
        guard let subtype = descriptors.subtype else {
            if let reason = try ForeignContainer.name(of: file) {
                throw DiskError(.unsupportedFeature, reason, path: file.path)
            }
            return nil
        }
        var warnings: [String] = []
        let size = try file.size()
        if let claimed = descriptors.claimedSize, claimed > size {
            warnings.append(
                "the primary volume descriptor says \(claimed) bytes, the file has \(size): it was probably cut short"
            )
        }
        return Facts(subtype: subtype, identifier: descriptors.identifier, warnings: warnings)
    }

    /// Shows the image as a disk: the file's own length, rounded up to whole 2,048-byte sectors with zeros when it isn't even a multiple
    /// of 512 (formats.md §5.3).
    public static func layer(_ file: any HostFile) throws(DiskError) -> FlatImage {
        let stored = try file.size()
        let size = stored % 512 == 0 ? stored : (stored / 2048 + 1) * 2048
        return FlatImage(file, size: size, storedBytes: stored)
    }
}
