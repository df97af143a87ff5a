internal import BlockDevice
internal import Logging
internal import VolumeTree
internal import Volumes

/// Who reads which file system.
struct VolumeReaders: Sendable {
    let log: Logger

    /// Opens the file system of a volume.
    func open(
        _ device: any BlockDevice,
        _ reader: VolumeIdentity.Reader
    ) throws(VolumeError) -> any VolumeReader {
        throw VolumeError(.unsupported, "nobody here reads this file system")
    }
}
