internal import BlockDevice
internal import Platform
internal import SystemPackage

/// A virtual disk that has been opened for an attach: the chain, what is known of it, and the locks on its files.
struct OpenedDisk: Sendable {
    /// One image of the chain.
    struct Link: Sendable {
        var path: FilePath
        /// The image, if it is of a family that has chains.
        var layer: OpenLayer?
        /// How it was found: `request` for the leaf, else what led to it.
        var origin: String
    }

    let chain: Chain
    let kind: ImageKind
    /// What tells the disk from others, and stays when it is written to; nil where there is no such thing.
    let identifier: String?
    /// `fixed`, `dynamic`, `differencing`, or the descriptors of an optical image.
    let subtype: String
    let blockSize: UInt64
    let logicalSectorSize: Int
    let physicalSectorSize: Int
    let leaf: OpenImage
    let links: [Link]
    let locks: [FileLock]
    let warnings: [String]
    /// Asked before the first write.
    let writeGate: WriteGate
}
