internal import Glibc
public import SystemPackage

/// A mark on the folder below a mount point: that a process serves it, or still has to finish after it was unmounted.
///
/// It is a lock on the folder, so it goes with the process, whatever becomes of that.
public final class ServiceMark: Sendable {
    private let folder: Descriptor

    /// Marks a folder, before it is mounted on, for as long as this object lives. Nil where the host has no such locks.
    public init?(_ folder: FilePath) {
        guard let folder = try? Descriptor(opening: folder, flags: O_RDONLY | O_DIRECTORY),
            (try? retrying { flock(folder.rawValue, LOCK_SH | LOCK_NB) }) != nil
        else { return nil }
        self.folder = folder
    }

    /// Waits until nobody has marked a folder any more; for when it has been unmounted. Returns at once where that can't be found out.
    public static func waitForEnd(_ folder: FilePath) {
        guard let folder = try? Descriptor(opening: folder, flags: O_RDONLY | O_DIRECTORY) else { return }
        _ = try? retrying { flock(folder.rawValue, LOCK_EX) }
    }
}
