internal import FileSystem
internal import Volumes

/// An open folder of a volume: what it held when it was opened.
final class FolderListing: OpenDirectory {
    private let volume: ShownVolume
    private let open: OpenVolume
    private let content: IndexedFolder
    private let id: FileID
    private let place: @Sendable (FileID, Attributes) -> Entry
    /// The entries that are shown; nil when all are.
    private let shown: [Int]?

    init(
        _ volume: ShownVolume,
        _ open: OpenVolume,
        _ content: IndexedFolder,
        id: FileID,
        place: @escaping @Sendable (FileID, Attributes) -> Entry
    ) {
        self.volume = volume
        self.open = open
        self.content = content
        self.id = id
        self.place = place
        let entries = content.folder.entries
        let root = open.reader.root
        func isShown(_ entry: Folder.Entry) -> Bool { !entry.isHidden && entry.file != root }
        shown = entries.allSatisfy(isShown) ? nil : entries.indices.filter { isShown(entries[$0]) }
    }

    var count: Int { shown?.count ?? content.folder.entries.count }
    var isLasting: Bool { volume.isConstant }

    private func stored(_ index: Int) -> Folder.Entry {
        content.folder.entries[shown?[index] ?? index]
    }

    func entry(at index: Int) -> DirectoryEntry {
        let entry = stored(index)
        let name = ShownName.shown(content.folder.name(of: entry))
        return DirectoryEntry(
            name: String(decoding: name, as: UTF8.self),
            inode: place(entry.file, Self.unknown(entry.kind)).answer.attributes.inode,
            kind: entry.kind
        )
    }

    func lookup(at index: Int) -> Entry? {
        // What was read before the disk changed is good for names, but the kernel would take it for what is so now.
        guard volume.isCurrent(open) else { return nil }
        let entry = stored(index)
        guard let attributes = try? open.attributes(of: entry) else { return nil }
        open.note(entry, in: id)
        return place(entry.file, volume.shown(attributes))
    }

    /// For `readdir`, which tells no more than the kind.
    private static func unknown(_ kind: NodeKind) -> Attributes {
        Attributes(inode: 0, kind: kind, permissions: 0, owner: 0, group: 0, modified: Timestamp(seconds: 0))
    }
}
