internal import ControlLanguage
internal import Platform
internal import SystemPackage

/// Paths that a user gives on the command line.
enum UserPath {
    /// The absolute form of a path; links, `.` and `..` in it stay.
    static func absolute(_ path: String) -> FilePath {
        absolute(FilePath(bytes: Surroundings.argument(shownAs: path)))
    }

    /// The absolute form of a path that is a word of a request.
    static func absolute(_ word: Word) -> Word {
        Word(absolute(FilePath(bytes: word.bytes)).bytes) ?? word
    }

    static func absolute(_ path: FilePath) -> FilePath {
        guard !path.isAbsolute, let folder = Surroundings.workingDirectory else { return path }
        return folder.pushing(path)
    }

    /// Where a mount point really is, without asking the file system that is mounted on it: that may hang or be dead.
    static func mountPoint(_ path: FilePath) throws(Errno) -> FilePath {
        var path = path
        for _ in 0..<40 {
            // `a/..`, `.` and `/` have no name of their own.
            guard let name = path.lastComponent, name.kind == .regular else { return try path.resolved() }
            let folder = try path.removingLastComponent().resolved()
            path = folder.appending(name)
            guard let target = try? path.linkTarget() else { return path }
            path = folder.pushing(target)
        }
        throw .tooManySymbolicLinkLevels
    }
}
