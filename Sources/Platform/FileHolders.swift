internal import Glibc
public import SystemPackage

/// A process that has a file open.
public struct FileHolder: Sendable, Hashable {
    /// Its id.
    public var processID: Int32
    /// The name of its program, without control characters.
    public var name: String

    /// Makes a holder.
    public init(processID: Int32, name: String) {
        self.processID = processID
        self.name = name
    }
}

/// Finds out who holds a file, for messages to people: an answer that is good enough, soon.
///
/// Looks only into `/proc`, and asks no file server anything: it may be our own that somebody waits for. Of processes that this one
/// may not look into nothing is known. Looking ends after a second's work, or when `limit` processes have been found.
public enum FileHolders {
    /// Who has a file open, other than this process: those who have locked it, or, if none has, all.
    public static func holding(_ file: FileIdentity, limit: Int = 8) -> [FileHolder] {
        var locking: [FileHolder] = []
        var others: [FileHolder] = []
        scan { process in
            guard process.id != getpid() else { return true }
            let open = process.openFiles.filter { $0.target.hasPrefix("/") && knownIdentity(of: $0.link) == file }
            guard !open.isEmpty else { return true }
            if open.contains(where: { process.hasLock(on: $0.number) }) {
                locking.append(process.holder)
            } else {
                others.append(process.holder)
            }
            return locking.count < limit
        }
        return Array((locking.isEmpty ? others : locking).prefix(limit))
    }

    /// Who has one of the folders, or anything below it, open, mapped, or as its working directory. This process counts too.
    public static func holding(below folders: [FilePath], limit: Int = 8) -> [FileHolder] {
        let paths = folders.map { $0.string.hasSuffix("/") ? String($0.string.dropLast()) : $0.string }
        func isInside(_ target: String) -> Bool {
            paths.contains { target == $0 || target.hasPrefix($0 + "/") }
        }
        var found: [FileHolder] = []
        scan { process in
            let isOpen = process.openFiles.contains { file in
                // The folder itself, locked: that is the `ServiceMark` of the one who serves it, below the mount.
                isInside(file.target) && !(paths.contains(file.target) && process.hasLock(on: file.number))
            }
            if isOpen || process.folders.contains(where: isInside) || process.mapsFile(where: isInside) {
                found.append(process.holder)
            }
            return found.count < limit
        }
        return found
    }

    /// Shows `body` one process after the other, until it returns false or enough has been done.
    private static func scan(_ body: (ScannedProcess) -> Bool) {
        let end = secondsOfWork() + 1
        guard let folder = try? Descriptor(opening: "/proc", flags: O_RDONLY | O_DIRECTORY),
            let names = try? folder.entries()
        else { return }
        // Who started last is asked first: those started with the host hold no images.
        for id in names.compactMap({ Int32($0) }).sorted(by: >) {
            if secondsOfWork() > end || !body(ScannedProcess(id: id)) { return }
        }
    }

    /// Processor time of this thread: on a busy host, time that passes says nothing about what has been done.
    private static func secondsOfWork() -> Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

/// What `/proc` tells about a process; nothing, where it may not be looked into.
private struct ScannedProcess {
    let id: Int32

    private var folder: FilePath { FilePath("/proc/\(id)") }

    var holder: FileHolder {
        let text = (try? folder.appending("comm").contents(limit: 4096)) ?? []
        let characters = String(decoding: text, as: UTF8.self).unicodeScalars.filter {
            $0.properties.generalCategory != .control
        }
        return FileHolder(processID: id, name: String(String.UnicodeScalarView(characters)))
    }

    /// Its working directory and its root.
    var folders: [String] {
        ["cwd", "root"].compactMap { try? folder.appending($0).linkTarget().string }
    }

    /// Its descriptors, as links, and the links' texts.
    var openFiles: [(number: String, link: FilePath, target: String)] {
        let links = folder.appending("fd")
        guard let names = try? Descriptor(opening: links, flags: O_RDONLY | O_DIRECTORY).entries() else { return [] }
        return names.compactMap { name in
            let link = links.appending(name)
            guard let target = try? link.linkTarget() else { return nil }
            return (name, link, target.string)
        }
    }

    func hasLock(on number: String) -> Bool {
        guard let text = try? folder.appending("fdinfo").appending(number).contents(limit: 65536) else { return false }
        return String(decoding: text, as: UTF8.self).split(separator: "\n").contains { $0.hasPrefix("lock:") }
    }

    /// Whether one of its mappings is of a file of such a path.
    func mapsFile(where isMeant: (String) -> Bool) -> Bool {
        guard let text = try? self.folder.appending("maps").contents(limit: 1 << 20) else { return false }
        return String(decoding: text, as: UTF8.self).split(separator: "\n").contains { line in
            // Five fields, spaces, and the path, which may have spaces of its own.
            guard let slash = line.firstIndex(of: "/") else { return false }
            return isMeant(String(line[slash...]))
        }
    }
}
