internal import FileSystem
internal import Volumes

/// Turns the targets of symbolic links into ones that stay inside of their volume, wherever it is mounted.
///
/// What begins at the volume's root is written relative to the link's folder. `..` never leads above the root. Where `..` follows a name, that name
/// may itself be a link, so the way is followed here, as the kernel would below a changed root.
struct LinkResolution {
    let volume: OpenVolume

    /// The text that `readlink` gives for a link in a folder.
    func target(of link: FileID, in directory: FileID) throws(VolumeError) -> [UInt8] {
        let target = try volume.reader.linkTarget(of: link)
        if target.base == .elsewhere { return Self.nowhere(target.path) }
        let depth = try ancestors(of: directory).count
        let names = Self.components(target.path)
        let climbs = names.prefix { $0 == Self.up }.count
        guard names.dropFirst(climbs).contains(Self.up) else {
            // What leads nowhere else anyway is left as it is stored.
            if target.base != .root, climbs <= depth, !names.isEmpty, names.allSatisfy({ ShownName.shown($0) == $0 }) {
                return target.path
            }
            let rise = target.base == .root ? depth : min(climbs, depth)
            return Self.text(rise: rise, names.dropFirst(climbs))
        }
        return Self.text(rise: depth, try follow(names, from: target.base == .root ? nil : directory)[...])
    }

    private static let up = Array("..".utf8)

    /// As the kernel: more links in one way are a loop.
    private static let linkLimit = 40
    private static let depthLimit = 4096

    /// The folders above a folder, the nearest first; none for the root.
    private func ancestors(of directory: FileID) throws(VolumeError) -> [FileID] {
        var ancestors: [FileID] = []
        var current = directory
        while current != volume.reader.root, let parent = try volume.folder(current).folder.parent {
            ancestors.append(parent)
            current = parent
            guard ancestors.count <= Self.depthLimit else {
                throw VolumeError(
                    .damaged,
                    "folder \(directory.rawValue) lies in itself, or below more than \(Self.depthLimit) others"
                )
            }
        }
        return ancestors
    }

    /// The names from the root to where a way leads. What isn't there is taken literally.
    private func follow(_ names: [[UInt8]], from directory: FileID?) throws(VolumeError) -> [[UInt8]] {
        var way: [(folder: FileID, name: [UInt8])] = []
        var rest = Array(names.reversed())
        var missing: [[UInt8]] = []
        var links = 0
        if let directory { way = try wayTo(directory) }
        while let name = rest.popLast() {
            if name == Self.up {
                if missing.popLast() == nil { _ = way.popLast() }
                continue
            }
            let current = way.last?.folder ?? volume.reader.root
            guard missing.isEmpty, let entry = try volume.entry(named: name, in: current) else {
                missing.append(name)
                continue
            }
            switch entry.kind {
            case .directory: way.append((entry.file, name))
            case .symbolicLink where !rest.isEmpty:
                links += 1
                let target = try volume.reader.linkTarget(of: entry.file)
                guard links <= Self.linkLimit, target.base != .elsewhere else {
                    missing.append(name)
                    continue
                }
                if target.base == .root { way = [] }
                rest += Self.components(target.path).reversed()
                guard rest.count <= Self.depthLimit else {
                    throw VolumeError(.limit, "the target of a symbolic link is too long")
                }
            default: missing.append(name)
            }
        }
        return way.map(\.name) + missing
    }

    /// The folders from the root to a folder, with their names.
    private func wayTo(_ directory: FileID) throws(VolumeError) -> [(folder: FileID, name: [UInt8])] {
        var way: [(folder: FileID, name: [UInt8])] = []
        var child = directory
        for parent in try ancestors(of: directory) {
            let folder = try volume.folder(parent).folder
            guard let entry = folder.entries.first(where: { $0.file == child && $0.kind == .directory }) else {
                throw VolumeError(
                    .damaged,
                    "folder \(child.rawValue) is not in folder \(parent.rawValue), which it names as its parent"
                )
            }
            way.append((child, Array(folder.name(of: entry))))
            child = parent
        }
        return way.reversed()
    }

    private static func components(_ path: [UInt8]) -> [[UInt8]] {
        path.split(separator: UInt8(ascii: "/")).map(Array.init).filter { $0 != [UInt8(ascii: ".")] }
    }

    private static func text(rise: Int, _ names: ArraySlice<[UInt8]>) -> [UInt8] {
        let steps = Array(repeating: up, count: rise) + names.map { ShownName.shown($0) }
        return steps.isEmpty ? [UInt8(ascii: ".")] : Array(steps.joined(separator: [UInt8(ascii: "/")]))
    }

    /// A path of Windows that this volume does not hold: a single name, which leads nowhere.
    private static func nowhere(_ path: [UInt8]) -> [UInt8] {
        let slash = UInt8(ascii: "/")
        let backslash = UInt8(ascii: "\\")
        return [backslash, backslash] + path.map { $0 == slash || $0 == 0 ? backslash : $0 }
    }
}
