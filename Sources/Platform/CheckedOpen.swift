internal import CPlatform
internal import Glibc
internal import SystemPackage

extension OpenPurpose {
    /// Opens with the rights of the calling process: finds the file without opening it, looks at what it is, and only then opens
    /// just that file for real.
    func open(_ path: FilePath) throws(OpenError) -> Descriptor {
        guard path.isAbsolute else { throw .pathNotFound }
        let found: Descriptor
        do {
            found = try Descriptor(opening: path, flags: platform_O_PATH)
        } catch .noSuchFileOrDirectory {
            // A link to nowhere in an existing directory is a missing file, as Windows sees it.
            let folder = try? Descriptor(opening: path.removingLastComponent(), flags: platform_O_PATH | O_DIRECTORY)
            throw folder == nil ? .pathNotFound : .fileNotFound
        } catch .notDirectory {
            throw .pathNotFound
        } catch {
            throw .failed(error)
        }
        do {
            let kind = try found.status().kind
            guard accepts(kind) else { throw OpenError.wrongKind(kind) }
            // Not O_NONBLOCK: of these kinds only a file that another process has leased waits for it, and should wait.
            return try Descriptor(opening: FilePath("/proc/self/fd/\(found.rawValue)"), flags: flags(for: kind))
        } catch let error as Errno {
            throw .failed(error)
        } catch let error as OpenError {
            throw error
        } catch {
            throw .failed(.ioError)
        }
    }

    private func accepts(_ kind: FileKind) -> Bool {
        switch self {
        case .reading(let allowBlockDevice), .readingAndWriting(let allowBlockDevice):
            kind == .regular || kind == .blockDevice && allowBlockDevice
        case .listing:
            kind == .directory
        }
    }

    private func flags(for kind: FileKind) -> CInt {
        switch self {
        case .reading: O_RDONLY | O_NOCTTY
        // A device that is written to is nobody else's: not mounted, not a part of another, by whatever name.
        case .readingAndWriting: O_RDWR | O_NOCTTY | (kind == .blockDevice ? O_EXCL : 0)
        case .listing: O_RDONLY | O_DIRECTORY
        }
    }
}
