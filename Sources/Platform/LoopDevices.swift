internal import Glibc
public import SystemPackage

/// Loop devices: the kernel has their files open, and no process.
public enum LoopDevices {
    /// The devices that stand on files below one of these folders, as far as `/sys` tells.
    public static func backed(by folders: [FilePath]) -> [String] {
        let blocks = FilePath("/sys/block")
        let names = (try? Descriptor(opening: blocks, flags: O_RDONLY | O_DIRECTORY).entries()) ?? []
        return names.filter { $0.hasPrefix("loop") }.sorted().compactMap { name in
            let link = blocks.appending(name).appending("loop/backing_file")
            guard let text = try? link.contents(limit: 8192) else { return nil }
            // A line; a file that is gone has a remark behind its path.
            let path = FilePath(bytes: text.dropLast())
            return folders.contains { path.starts(with: $0) } ? "/dev/\(name)" : nil
        }
    }
}
