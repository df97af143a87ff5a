public import BlockDevice

/// How a VHDX file is to be opened.
public struct VHDXOpenOptions: Sendable {
    /// The disk will be written to: what can only be read is refused.
    public var isWritable: Bool
    /// How long after the last flush the log is emptied by itself; nil: only at `finish`.
    public var checkpointDelay: Duration?

    /// Makes options.
    public init(isWritable: Bool = false, checkpointDelay: Duration? = .seconds(1)) {
        self.isWritable = isWritable
        self.checkpointDelay = checkpointDelay
    }
}

/// Opens VHDX files (Virtual Hard Disk v2 (VHDX) File Format, MS-VHDX).
public enum VHDXImage {
    /// Whether the file begins with `vhdxfile`.
    public static func recognize(_ file: any HostFile) throws(DiskError) -> Bool {
        guard try file.size() >= 65_536 else { return false }
        return try file.readBytes("file identifier", at: 0, count: 8) == Array("vhdxfile".utf8)
    }

    /// Opens one file. Reads headers, log, region tables, metadata, and what is stored of the block allocation table; changes nothing.
    ///
    /// A log that is not empty is replayed in memory; a disk that is written to replays it into the file before its first write.
    /// Throws what `formats.md` §6.2 says for damaged files; `fileCorrupt` where there is no trace of a VHDX.
    public static func open(
        _ file: any HostFile,
        options: VHDXOpenOptions = VHDXOpenOptions()
    ) throws(DiskError) -> VHDXLayer {
        try VHDXLayer(file, options)
    }
}
