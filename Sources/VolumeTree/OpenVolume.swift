internal import FileSystem
internal import Platform
internal import Volumes

/// A volume whose file system has been opened, as it was at one version of its disk.
///
/// Everything that holds it may go on with it when the volume is opened anew; it is closed when the last one lets go.
final class OpenVolume: Sendable {
    let reader: any VolumeReader
    /// The disk's version when it was opened.
    let version: UInt64
    private let number: UInt64
    private let folders: FolderCache
    /// The folders that symbolic links lie in: where a link leads depends on that, and its identity does not tell.
    private let linkFolders = Locked(AgingCache<FileID, FileID>(limit: 1 << 17))

    init(_ reader: any VolumeReader, version: UInt64, folders: FolderCache) {
        self.reader = reader
        self.version = version
        self.folders = folders
        number = folders.nextOpening()
    }

    deinit {
        reader.close()
        folders.drop(number)
    }

    /// What a folder holds.
    func folder(_ directory: FileID) throws(VolumeError) -> IndexedFolder {
        try folders.folder(FolderCache.Key(opening: number, folder: directory)) { () throws(VolumeError) in
            try reader.folder(directory)
        }
    }

    /// Finds a name in a folder.
    func entry(named name: [UInt8], in directory: FileID) throws(VolumeError) -> Folder.Entry? {
        guard let entry = try folder(directory).entry(named: name), entry.file != reader.root else { return nil }
        note(entry, in: directory)
        return entry
    }

    /// The attributes of what a name leads to.
    func attributes(of entry: Folder.Entry) throws(VolumeError) -> FileAttributes {
        if let attributes = entry.attributes { return attributes }
        return try reader.attributes(of: entry.file)
    }

    /// Remembers where a link lies that the kernel gets to know.
    func note(_ entry: Folder.Entry, in directory: FileID) {
        guard entry.kind == .symbolicLink else { return }
        linkFolders.withLock { $0.insert(directory, weight: 1, for: entry.file) }
    }

    /// The folder that a link lies in, if it was looked up lately.
    func folder(ofLink link: FileID) -> FileID? {
        linkFolders.withLock { $0.value(of: link) }
    }
}
