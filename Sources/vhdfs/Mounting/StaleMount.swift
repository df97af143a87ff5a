internal import Glibc
internal import Platform
internal import SystemPackage
internal import VirtualDisk

/// What an earlier vhdfs may have left at a mount point.
enum StaleMount {
    /// How long a file system may take to answer before it is taken for one that hangs.
    private static let patience = Duration.seconds(5)

    /// Takes away dead file systems of ours that lie on a mount point.
    ///
    /// - Throws: when a living one lies there, or one of another user: whether that lives only they can see.
    static func clear(_ mountPoint: FilePath) throws(AttachError) {
        while let mount = try topmost(mountPoint), mount.type == FileSystemType.name {
            guard mount.user == geteuid() else {
                let owner = mount.user.map { "user \($0)" } ?? "another user"
                throw AttachError(.alreadyExists, "a vhdfs of \(owner) is mounted there", path: mountPoint.string)
            }
            switch answer(of: mountPoint) {
            case nil:
                throw AttachError(
                    .alreadyExists,
                    "a vhdfs that does not answer is mounted there; end it, or unmount it with umount -l",
                    path: mountPoint.string
                )
            case .socketNotConnected?:
                try remove(mount)
            default:
                throw AttachError(.alreadyExists, "a vhdfs is already mounted there", path: mountPoint.string)
            }
        }
    }

    private static func topmost(_ mountPoint: FilePath) throws(AttachError) -> Mount? {
        do {
            return try Mount.at(mountPoint)
        } catch {
            throw AttachError(error, "reading /proc/self/mountinfo", path: mountPoint)
        }
    }

    private static func remove(_ mount: Mount) throws(AttachError) {
        do {
            try unmount(mount.mountPoint, lazily: true)
        } catch {
            throw error.attachError(mount.mountPoint)
        }
    }

    /// What `stat` says: an error, 0 for none; nil when it says nothing in time. Its thread is left behind then.
    private static func answer(of mountPoint: FilePath) -> Errno? {
        let answer = Monitor<Errno?>(nil)
        startThread("stat") {
            let result: Errno
            do throws(Errno) {
                _ = try mountPoint.status()
                result = Errno(rawValue: 0)
            } catch {
                result = error
            }
            answer.update { $0 = result }
        }
        return answer.wait(timeout: patience) { $0 }
    }
}

/// The type that our mounts have.
enum FileSystemType {
    static let name = "fuse.vhdfs"
}

extension UnmountError {
    /// The same with a Windows code.
    func attachError(_ mountPoint: FilePath) -> AttachError {
        switch self {
        case .busy: AttachError(.sharingViolation, "files of it are open", path: mountPoint.string)
        case .failed(let errno): AttachError(errno, "unmounting", path: mountPoint)
        case .refused(let words): AttachError(.accessDenied, words, path: mountPoint.string)
        }
    }
}
