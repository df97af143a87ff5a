import BlockDevice
import ByteIO
import TestSupport
import VHDXFormat

/// A chain of VHDX files that is open: the one place that knows how the provider opens them.
struct OpenDisk {
    let device: Chain
    let leaf: VHDXLayer

    /// Opens a file above its parents, the nearest first. Parents are never opened for writing. The log is emptied by `finish` only.
    init(_ file: any HostFile, parents: some Sequence<MemoryFile> = [], writable: Bool) throws(DiskError) {
        leaf = try VHDXImage.open(file, options: VHDXOpenOptions(isWritable: writable, checkpointDelay: nil))
        var below: [any ImageLayer] = []
        for parent in parents { below.append(try VHDXImage.open(parent)) }
        device = Chain(leaf: leaf, parents: below, isReadOnly: !writable)
    }

    /// Opens files, the leaf first.
    init(_ files: [MemoryFile], writable: Bool) throws(DiskError) {
        try self.init(files[0], parents: files.dropFirst(), writable: writable)
    }

    /// What a user should know about the leaf.
    var warnings: [String] { leaf.facts.warnings }

    /// The last writer has gone.
    func finish() throws(DiskError) {
        try device.finish()
    }
}
