internal import SystemPackage

/// A path as Windows writes it into a child image, and where it may lead on this host.
struct WindowsPath {
    /// The components behind drive, server and share; `.` left out.
    let components: [String]
    /// A lower-case drive letter, if there was one.
    let drive: Character?

    private static let lengthLimit = 4096
    private static let depthLimit = 256

    /// Splits a path; nil when it can't name a file: empty, with a NUL, or with components that no file system has.
    init?(_ text: String) {
        guard !text.unicodeScalars.contains("\0"), text.utf8.count <= Self.lengthLimit else { return nil }
        var parts = text.split { $0 == "\\" || $0 == "/" }.map(String.init)
        var drive: Character?
        if text.hasPrefix("\\\\?\\") || text.hasPrefix("\\\\.\\") {
            // The prefix of long paths: `\\?\C:\…`, `\\?\UNC\server\share\…`, `\\?\Volume{…}\…`.
            parts.removeFirst()
            if let first = parts.first, first.uppercased() == "UNC" { parts.removeFirst(min(3, parts.count)) }
            if let first = parts.first, first.lowercased().hasPrefix("volume{") { parts.removeFirst() }
        } else if text.hasPrefix("\\\\") {
            parts.removeFirst(min(2, parts.count))
        }
        if let first = parts.first, first.count == 2, first.hasSuffix(":"), let letter = first.first, letter.isASCII {
            drive = Character(letter.lowercased())
            parts.removeFirst()
        }
        parts.removeAll { $0 == "." }
        guard let name = parts.last, name != "..", parts.count <= Self.depthLimit,
            parts.allSatisfy({ $0.utf8.count <= 255 })
        else { return nil }
        components = parts
        self.drive = drive
    }

    /// The path taken as relative to a folder. Drive and share are ignored.
    func relative(to folder: FilePath) -> FilePath {
        var path = folder
        for component in components {
            if component == ".." {
                path.removeLastComponent()
            } else {
                path.append(FilePath.Component(component) ?? "_")
            }
        }
        return path
    }

    /// Where an absolute Windows path may be found: in `/mnt/DRIVE`, and below each folder above the child, one of which is where
    /// the Windows volume is mounted or was copied to.
    func places(above folder: FilePath) -> [FilePath] {
        var places: [FilePath] = []
        if let drive { places.append(relative(to: FilePath("/mnt/\(drive)"))) }
        var root = folder
        while true {
            places.append(relative(to: root))
            if root.components.isEmpty { return places }
            root.removeLastComponent()
        }
    }
}
