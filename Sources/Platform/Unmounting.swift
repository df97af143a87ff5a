internal import Glibc
public import SystemPackage

/// Why a file system could not be unmounted.
public enum UnmountError: Error, Sendable, Hashable {
    /// Files of it are open.
    case busy
    /// The system refuses.
    case failed(Errno)
    /// `fusermount3`, with whose help users unmount, refuses; with its words.
    case refused(String)
}

/// Takes a FUSE file system away from its mount point: as root by itself, else with the help of `fusermount3`.
///
/// - Parameters:
///   - mountPoint: an absolute path without links.
///   - lazily: also when files of it are open; they stay usable for those who have them.
public func unmount(_ mountPoint: FilePath, lazily: Bool) throws(UnmountError) {
    if geteuid() == 0 {
        do {
            let flags = CInt(UMOUNT_NOFOLLOW) | (lazily ? CInt(MNT_DETACH) : 0)
            _ = try retrying { unsafe mountPoint.withPlatformString { unsafe umount2($0, flags) } }
        } catch .resourceBusy {
            throw .busy
        } catch {
            throw .failed(error)
        }
        return
    }
    let result: (status: Int32, output: String)
    do {
        result = try Processes.run(["fusermount3", "-u"] + (lazily ? ["-z"] : []) + ["--", mountPoint.string])
    } catch {
        throw .failed(error)
    }
    guard result.status != 0 else { return }
    if result.output.contains(Errno.resourceBusy.description) { throw .busy }
    throw .refused(result.output.split(whereSeparator: \.isNewline).joined(separator: "; "))
}
