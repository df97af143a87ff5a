internal import Platform

/// A folder that names can be looked up in.
///
/// The table behind it is built at the first look-up: many folders are only listed.
public final class IndexedFolder: Sendable {
    /// What the folder holds.
    public let folder: Folder
    private let table = Locked<[UInt32]?>(nil)

    /// Prepares a folder.
    public init(_ folder: Folder) {
        self.folder = folder
    }

    /// The entry of a name as the volume stores it; the first, if a damaged folder has several.
    public func entry(named name: [UInt8]) -> Folder.Entry? {
        let table = table.withLock { table in
            let known = table ?? Self.table(of: folder)
            table = known
            return known
        }
        guard !table.isEmpty else { return nil }
        var slot = Self.hash(name[...]) & (table.count - 1)
        while table[slot] != Self.free {
            let entry = folder.entries[Int(table[slot])]
            if folder.name(of: entry).elementsEqual(name) { return entry }
            slot = (slot + 1) & (table.count - 1)
        }
        return nil
    }

    /// Bytes of memory that it takes, about.
    public var footprint: Int {
        folder.footprint + folder.entries.count * 2 * MemoryLayout<UInt32>.stride + 256
    }

    private static let free = UInt32.max

    /// Places of the entries in open addressing; at least half of it stays free. (`Folder.maximumCount` fits 32 bits.)
    private static func table(of folder: Folder) -> [UInt32] {
        guard !folder.entries.isEmpty else { return [] }
        var size = 4
        while size < 2 * folder.entries.count { size *= 2 }
        var table = [UInt32](repeating: free, count: size)
        for (index, entry) in folder.entries.enumerated() {
            var slot = hash(folder.name(of: entry)) & (size - 1)
            while table[slot] != free { slot = (slot + 1) & (size - 1) }
            table[slot] = UInt32(index)
        }
        return table
    }

    /// Differs from one process to the next: an image can't be made so that all its names meet in one slot.
    private static func hash(_ name: ArraySlice<UInt8>) -> Int {
        name.hashValue & .max
    }
}
