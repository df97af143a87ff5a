package import BlockDevice

/// The log by itself: the file as it leaves it, before anything behind it is looked at. For fuzzing.
package struct ReplayedLog {
    /// How many entries were replayed.
    package let entryCount: Int
    private let replayed: ReplayedFile
    private let original: any HostFile

    /// Works out what the log changes; it must not be empty.
    package init(of file: any HostFile) throws(DiskError) {
        let header = try HeaderChoice(in: file).header
        guard let log = try LogPlace(header, fileSize: file.size(), path: file.path, isWritable: false) else {
            throw DiskError(.fileCorrupt, "header: there is no log", path: file.path)
        }
        let replay = try LogReplay(log, header, in: file)
        entryCount = replay.entryCount
        replayed = ReplayedFile(file, replay)
        original = file
    }

    /// The file, with the log's changes laid over it.
    package var file: any HostFile { replayed }

    /// Brings the changes into the file itself.
    package func apply() throws(DiskError) {
        try replayed.apply(through: FailStopFile(original))
    }
}
