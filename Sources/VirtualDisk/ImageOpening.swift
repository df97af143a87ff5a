internal import BlockDevice
internal import ControlLanguage
internal import Platform
internal import SystemPackage

/// An image file that has been opened with the caller's rights.
struct OpenImage: Sendable {
    let descriptor: Descriptor
    /// Without symbolic links, as it was when it was opened.
    let path: FilePath
    let status: FileStatus
    /// Its bytes.
    let file: any HostFile
}

/// Opens image files for one attach: with the rights of the one who asked, and no longer than that one waits.
struct ImageOpening {
    let opener: any FileOpener
    let requester: Requester
    let words: AttachWords
    let cancellation: Cancellation?
    var fileLayer = AttachmentTable.FileLayer.none

    /// Opens one file.
    ///
    /// - Parameter allowBlockDevice: only what the request itself names may be a device, never what an image names.
    func open(
        _ path: FilePath,
        writing: Bool,
        allowBlockDevice: Bool = false
    ) throws(AttachError) -> OpenImage {
        do {
            let descriptor = try opener.open(
                path,
                writing
                    ? .readingAndWriting(allowBlockDevice: allowBlockDevice)
                    : .reading(allowBlockDevice: allowBlockDevice),
                as: requester.credentials,
                cancellation: cancellation
            )
            let real = (try? descriptor.path()) ?? path
            return OpenImage(
                descriptor: descriptor,
                path: real,
                status: try descriptor.status(),
                file: fileLayer.over(PosixFile(descriptor, path: real.string))
            )
        } catch let error as OpenError {
            throw Self.explain(error, path)
        } catch Errno.permissionDenied {
            // The caller may open it, and the daemon may not even ask how long it is: FUSE without allow_other.
            throw AttachError(
                .accessDenied,
                "the file system that it is on answers nobody but the user who mounted it; vhdfs needs allow_other there",
                path: path.string
            )
        } catch {
            throw AttachError(.vhdMetadataReadFailure, "\(error)", path: path.string)
        }
    }

    /// Refuses files whose host keeps them compressed or encrypted, unless the request lifts that.
    func checkHostFlags(_ image: OpenImage) throws(AttachError) {
        // Not every file system has such flags; then there is nothing to refuse.
        guard let flags = try? image.descriptor.inodeFlags() else { return }
        if flags.contains(.compressed), !words.supportsCompressedVolumes {
            throw AttachError(
                .virtualDiskLimitation,
                "the file is compressed by its file system; attach it anyway with support-compressed-volumes",
                path: image.path.string
            )
        }
        if flags.contains(.encrypted), !words.supportsEncryptedFiles {
            throw AttachError(
                .virtualDiskLimitation,
                "the file is encrypted by its file system; attach it anyway with support-encrypted-files",
                path: image.path.string
            )
        }
    }

    /// The names in a folder; none where the caller may not look, nil where there is no folder.
    func names(in folder: FilePath) -> [String]? {
        do {
            return try listing(of: folder)
        } catch {
            return error == .failed(.permissionDenied) ? [] : nil
        }
    }

    /// The names in a folder.
    func listing(of folder: FilePath) throws(OpenError) -> [String] {
        let descriptor = try opener.open(
            folder,
            .listing,
            as: requester.credentials,
            cancellation: cancellation
        )
        do {
            return try descriptor.entries()
        } catch {
            throw .failed(error)
        }
    }

    private static func explain(_ error: OpenError, _ path: FilePath) -> AttachError {
        let (code, text): (Win32Error, String) =
            switch error {
            case .fileNotFound: (.fileNotFound, "no such file")
            case .pathNotFound: (.pathNotFound, "a folder of this path does not exist")
            case .wrongKind(let kind):
                (
                    .virtDiskNotVirtualDisk,
                    "this is a \(kind), and only regular files (and block devices with type=) can be attached"
                )
            case .cancelled: (.operationAborted, "interrupted")
            case .helperEnded: (.accessDenied, "the process that opens files for others has ended; mount again")
            case .failed(.permissionDenied): (.accessDenied, "permission denied")
            case .failed(.notPermitted): (.accessDenied, "the file may not be opened so (immutable?)")
            case .failed(.readOnlyFileSystem):
                (.writeProtect, "it is on a read-only file system; attach it with readonly")
            case .failed(.resourceBusy):
                (.sharingViolation, "the device is in use: mounted, a part of another device, or claimed by a program")
            case .failed(.textFileBusy): (.sharingViolation, "the file is being executed")
            case .failed(.tooManyOpenFiles), .failed(.tooManyOpenFilesInSystem):
                (.notEnoughMemory, "no more files can be opened (ulimit -n)")
            case .failed(.noMemory): (.notEnoughMemory, "out of memory")
            case .failed(.fileNameTooLong), .failed(.tooManySymbolicLinkLevels):
                (.pathNotFound, "\(error.errno.description)")
            case .failed(let errno): (.vhdMetadataReadFailure, "opening it: \(errno.description)")
            }
        return AttachError(code, text, path: path.string)
    }
}

extension ImageOpening {
    /// The path of an existing file that differs from `path` in case only; nil when there is none, or only `path` itself.
    func ignoringCase(_ path: FilePath) -> FilePath? {
        var found = FilePath("/")
        for component in path.components {
            let wanted = component.string.lowercased()
            guard let names = names(in: found) else { return nil }
            // A folder that may not be listed may still be passed through.
            if names.isEmpty || names.contains(where: { $0.utf8.elementsEqual(component.string.utf8) }) {
                found.append(component)
            } else if let name = names.sorted().first(where: { $0.lowercased() == wanted }),
                let match = FilePath.Component(name)
            {
                found.append(match)
            } else {
                return nil
            }
        }
        return found == path ? nil : found
    }
}
