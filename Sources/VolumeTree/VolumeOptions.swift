public import BlockDevice
public import Logging
public import Volumes

/// How the volumes of a mount are opened and shown.
public struct VolumeOptions: Sendable {
    /// Opens the file system of a volume that has been identified.
    public typealias Opener =
        @Sendable (_ name: String, _ device: any BlockDevice, _ reader: VolumeIdentity.Reader) throws(VolumeError) ->
        any VolumeReader

    /// Opens the file system of a volume.
    public var open: Opener
    /// Modes and owners count as they stand in the image (`-o inner-permissions`).
    public var keepsPermissions: Bool
    /// Where folders that were looked into are kept.
    public var folders: FolderCache
    /// Where the reason of an `EIO` is told.
    public var log: Logger

    /// Makes a set of options.
    public init(
        keepsPermissions: Bool = false,
        folders: FolderCache = FolderCache(),
        log: Logger,
        open: @escaping Opener
    ) {
        self.open = open
        self.keepsPermissions = keepsPermissions
        self.folders = folders
        self.log = log
    }
}
