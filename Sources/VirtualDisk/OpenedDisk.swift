internal import BlockDevice
internal import Platform
internal import SystemPackage

/// A virtual disk that has been opened for an attach: the chain, what is known of it, and the locks on its files.
struct OpenedDisk: Sendable {
    /// One image of the chain.
    struct Link: Sendable {
        var path: FilePath
        var identifier: String?
        /// How it was found: `request` for the leaf, else what led to it.
        var origin: String
    }

    let chain: Chain
    let kind: ImageKind
    /// `fixed`, `dynamic`, `differencing`, or the descriptors of an optical image.
    let subtype: String
    let blockSize: UInt64
    let logicalSectorSize: Int
    let leaf: OpenImage
    let links: [Link]
    let locks: [FileLock]
    let warnings: [String]
}
