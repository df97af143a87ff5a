public import SystemPackage

/// Why a file system could not be mounted.
public enum FUSEError: Error, Hashable, CustomStringConvertible {
    /// An option that libfuse or the kernel does not know, or that may not be given; with the reason.
    case invalidOption(String)
    /// The mount point does not exist, is not a directory, or can't be reached.
    case mountPoint(String, Errno)
    /// There is no usable `/dev/fuse`.
    case device(Errno)
    /// A user other than root mounts with the help of `fusermount3`, and it is not installed.
    case helperMissing
    /// `allow_other` and `allow_root` need the administrator's `user_allow_other`.
    case accessByOthersForbidden
    /// libfuse, `fusermount3` or the kernel refused; with their words.
    case refused(String)
    /// The host can't give a thread.
    case noThread

    /// One line for people: what is wrong and what to do.
    public var description: String {
        switch self {
        case .invalidOption(let reason): reason
        case .mountPoint(let path, let error): "mount point \(path): \(error)"
        case .device(.noSuchFileOrDirectory), .device(.operationNotSupportedByDevice), .device(.noSuchAddressOrDevice):
            "/dev/fuse is missing: load the kernel module with 'modprobe fuse'"
        case .device(let error): "/dev/fuse: \(error)"
        case .helperMissing: "fusermount3 is missing: install the package 'fuse3'"
        case .accessByOthersForbidden:
            "allow_other and allow_root need the line 'user_allow_other' in /etc/fuse.conf"
        case .refused(let words): words
        case .noThread: "no more threads: raise the limit of processes ('ulimit -u')"
        }
    }
}
