internal import ControlLanguage
internal import Glibc
internal import Platform
internal import SystemPackage
internal import VirtualDisk

/// A running vhdfs that the verbs talk to.
struct MountedFileSystem {
    /// The variable of the environment that says which one.
    static let variable = "VHDFS_MOUNTPOINT"

    let mountPoint: FilePath

    /// Finds the file system that a verb is meant for.
    ///
    /// - Parameter place: what `--at` says; else the environment says it, else it is the only one that this user has mounted.
    init(at place: String?) throws(AttachError) {
        if let place = place ?? Surroundings.variable(Self.variable) {
            mountPoint = try Self.mount(at: UserPath.absolute(place)).mountPoint
            return
        }
        let candidates = Self.mountedByUser()
        guard let only = candidates.first, candidates.count == 1 else {
            let how = "say which one with --at MOUNTPOINT or in \(Self.variable)"
            guard !candidates.isEmpty else {
                throw AttachError(.notFound, "you have mounted no vhdfs; mount one, or \(how)")
            }
            let list = candidates.map(\.string).joined(separator: ", ")
            throw AttachError(.notFound, "you have mounted several: \(list); \(how)")
        }
        mountPoint = only
    }

    /// The vhdfs that lies on top at a path.
    static func mount(at path: FilePath) throws(AttachError) -> Mount {
        let mount: Mount?
        do {
            mount = try Mount.at(UserPath.mountPoint(path))
        } catch {
            throw AttachError(error, path: path)
        }
        guard let mount, mount.type == FileSystemType.name else {
            throw AttachError(.notFound, "no vhdfs is mounted there", path: path.string)
        }
        return mount
    }

    private static func mountedByUser() -> [FilePath] {
        let mounts = (try? Mount.all()) ?? []
        var places: [FilePath] = []
        for (index, mount) in mounts.enumerated() where mount.type == FileSystemType.name {
            let isCovered = mounts.dropFirst(index + 1).contains { $0.mountPoint == mount.mountPoint }
            // A bind mount of a part has no `ctl`.
            if !isCovered, mount.user == geteuid(), mount.root == "/" { places.append(mount.mountPoint) }
        }
        return places
    }

    // MARK: Places

    private var control: FilePath { mountPoint.appending("ctl") }
    private var attached: FilePath { mountPoint.appending("attached") }

    /// The folder of an attached disk.
    func folder(of name: String) -> FilePath { attached.appending(name) }

    /// Names of the attached disks, in order.
    func names() throws(AttachError) -> [String] {
        do {
            return try Descriptor(opening: attached, flags: O_RDONLY | O_DIRECTORY).entries().sorted()
        } catch {
            throw refusal(error)
        }
    }

    /// What an attached disk's `info.json` says, without the newline at its end; nil if there is no such disk (any more).
    func json(of name: String) throws(AttachError) -> [UInt8]? {
        let path = folder(of: name).appending("info.json")
        do {
            let text = try path.contents(limit: 16 << 20)
            return text.last == UInt8(ascii: "\n") ? text.dropLast() : text
        } catch .noSuchFileOrDirectory {
            return nil
        } catch {
            throw AttachError(error, path: path)
        }
    }

    // MARK: Requests

    /// Makes a request that is answered to its last word, and leaves nothing behind that lasts as long as a handle.
    ///
    /// - Returns: the lines of the answer, the last of which begins with `ok`. Paths in them need not be UTF-8.
    func ask(_ request: Request) throws(AttachError) -> [[UInt8]] {
        do {
            let file = try Descriptor(opening: control, flags: O_RDWR)
            var failure: Errno?
            do {
                try file.send(request.line + [UInt8(ascii: "\n")])
            } catch {
                failure = error
            }
            let lines = try file.receive().split(separator: UInt8(ascii: "\n")).map(Array.init)
            guard let failure else { return lines }
            let answer = lines.last.map { String(decoding: $0, as: UTF8.self) } ?? ""
            throw AttachError(answer: answer) ?? AttachError(failure, path: control)
        } catch let error as AttachError {
            throw error
        } catch {
            throw refusal((error as? Errno) ?? .ioError)
        }
    }

    /// Attaches for as long as the file system is mounted: through a handle that is not read from.
    ///
    /// What was wrong is then read from the list of failures.
    func attach(_ path: Word, _ words: AttachWords) throws(AttachError) {
        let earlier = failures()
        let file: Descriptor
        do {
            file = try Descriptor(opening: control, flags: O_WRONLY)
        } catch {
            throw refusal(error)
        }
        do {
            try file.send(Request.attach(path: path, words: words).line + [UInt8(ascii: "\n")])
        } catch {
            throw FailureList(earlier: earlier, later: failures()).failure(of: path.text, errno: error)
                ?? AttachError(error, path: FilePath(bytes: path.bytes))
        }
    }

    private func failures() -> [String] {
        let text = (try? control.contents(limit: 16 << 20)) ?? []
        return String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    private func refusal(_ error: Errno) -> AttachError {
        switch error {
        case .permissionDenied where Credentials.isRoot:
            AttachError(
                .accessDenied,
                "root may enter another user's mount only if that was mounted with -o allow_root or allow_other",
                path: mountPoint.string
            )
        case .socketNotConnected:
            AttachError(
                .deviceDoesNotExist,
                "the vhdfs that was mounted there is dead; unmount it or mount it again",
                path: mountPoint.string
            )
        default: AttachError(error, path: control)
        }
    }
}
