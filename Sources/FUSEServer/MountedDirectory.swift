internal import CFuse
internal import Glibc
internal import SystemPackage

/// A directory that our file system covers.
struct MountedDirectory: Sendable {
    /// A device number, as `/proc/self/mountinfo` shows it.
    struct Device: Sendable, Hashable {
        let major: UInt32
        let minor: UInt32

        /// The device that lies topmost at a path; nil if that can't be found out. Asks no file system that could hang.
        init?(at path: String) {
            var (major, minor): (UInt32, UInt32) = (0, 0)
            guard unsafe cfuse_device_at(path, &major, &minor) == 0 else { return nil }
            self.major = major
            self.minor = minor
        }
    }

    /// The absolute path.
    let path: String
    /// Our file system's device.
    let device: Device

    /// Has the kernel read ahead four of the largest requests instead of the 128 KiB that FUSE gets; only root may, and where it can't be done it is done without.
    func raiseReadAhead() {
        let setting = FilePath("/sys/class/bdi/\(device.major):\(device.minor)/read_ahead_kb")
        guard geteuid() == 0, let file = try? FileDescriptor.open(setting, .writeOnly) else { return }
        _ = try? file.writeAll("\(4 * MountOptions.maximumRead / 1024)".utf8)
        try? file.close()
    }

    /// Has the kernel hand us the pages that programs have changed through `mmap`. Somebody must answer meanwhile:
    /// newer kernels only send the pages off, and do not wait for the answers of a FUSE server.
    func synchronize() {
        guard Device(at: path) == device,
            let root = try? FileDescriptor.open(FilePath(path), .readOnly, options: .directory)
        else { return }
        _ = cfuse_synchronize_file_system(root.rawValue)
        try? root.close()
    }

    /// Takes the file system away from its directory, also when files of it are open. Does nothing if something else lies topmost there.
    func detach() {
        guard Device(at: path) == device else { return }
        if geteuid() == 0, unsafe umount2(path, Int32(MNT_DETACH)) == 0 { return }
        unsafe withCommandLine(["fusermount3", "-u", "-q", "-z", "--", path]) { arguments in
            var child = pid_t()
            guard unsafe posix_spawnp(&child, "fusermount3", nil, nil, arguments, nil) == 0 else { return }
            while waitpid(child, nil, 0) == -1, errno == EINTR {}
        }
    }
}
