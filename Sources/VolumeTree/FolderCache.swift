internal import Platform
internal import Volumes

/// The folders of all volumes of a mount that were looked into lately.
public final class FolderCache: Sendable {
    /// A folder of one opening of one volume.
    struct Key: Hashable {
        var opening: UInt64
        var folder: FileID
    }

    private struct State {
        var folders: AgingCache<Key, IndexedFolder>
        var lastOpening: UInt64 = 0
    }

    private let state: Locked<State>

    /// Keeps folders that take at most so many bytes of memory in all.
    public init(limit: Int = 64 << 20) {
        state = Locked(State(folders: AgingCache(limit: limit)))
    }

    /// A number for a volume that is being opened.
    func nextOpening() -> UInt64 {
        state.withLock { state in
            state.lastOpening += 1
            return state.lastOpening
        }
    }

    /// The folder, from the cache or by reading it.
    func folder(_ key: Key, read: () throws(VolumeError) -> Folder) throws(VolumeError) -> IndexedFolder {
        if let known = state.withLock({ $0.folders.value(of: key) }) { return known }
        let folder = IndexedFolder(try read())
        state.withLock { $0.folders.insert(folder, weight: folder.footprint, for: key) }
        return folder
    }

    /// A volume has been closed: drops its folders.
    func drop(_ opening: UInt64) {
        state.withLock { $0.folders.removeAll { $0.opening == opening } }
    }
}
