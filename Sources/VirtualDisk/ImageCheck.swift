public import BlockDevice
public import ControlLanguage
public import Platform
public import SystemPackage
internal import VHDFormat
internal import VHDXFormat

/// Checks one image file, without its parents, and changes nothing.
public enum ImageCheck {
    /// Checks a file with the rights of a requester, while nobody writes to it.
    ///
    /// - Parameter words: what `attach` would be given; the type and `no-lock` count.
    /// - Throws: why the file can't be checked; what is wrong inside of it stands in the report.
    public static func run(
        _ path: FilePath,
        _ words: AttachWords,
        opener: any FileOpener,
        for requester: Requester
    ) throws(AttachError) -> CheckReport {
        let files = ImageOpening(opener: opener, requester: requester, words: words, cancellation: nil)
        let image = try files.open(path, writing: false)
        let opening = ChainOpening(files: files, claims: ImageClaims(), holder: "", isReadOnly: true)
        var warnings: [String] = []
        let lock = try opening.lock(image, exclusive: false, &warnings)
        defer { lock?.release() }
        do {
            var report = try check(image.file, words.type)
            for warning in warnings { report.note(warning) }
            return report
        } catch let error as DiskError {
            throw AttachError(error)
        } catch let error as AttachError {
            throw error
        } catch {
            throw AttachError(.vhdMetadataReadFailure, "\(error)", path: path.string)
        }
    }

    private static func check(_ file: any HostFile, _ type: AttachWords.ImageType) throws -> CheckReport {
        // Its first bytes may be what is damaged.
        if type == .vhdx { return try VHDXImage.check(file) }
        switch try kind(of: file, type) {
        case .vhd: return try VHDImage.check(file)
        case .vhdx: return try VHDXImage.check(file)
        case .vhdSet:
            throw AttachError(.notSupported, "a VHD Set can't be checked, only its .avhdx files", path: file.path)
        case .iso: throw cannot("an ISO or UDF image", file)
        case .raw: throw cannot("a raw disk", file)
        }
    }

    private static func kind(of file: any HostFile, _ type: AttachWords.ImageType) throws(AttachError) -> ImageKind {
        do throws(AttachError) {
            return try ImageKind.of(file, type: type)
        } catch  where error.error == .virtDiskProviderNotFound && type == .automatic {
            throw AttachError(
                error.error,
                "this is no VHD and no VHDX that can be recognised; if it is meant to be one, say type=vhd or type=vhdx",
                path: file.path
            )
        }
    }

    private static func cannot(_ what: String, _ file: any HostFile) -> AttachError {
        AttachError(.notSupported, "\(what) has no structures of its own that could be checked", path: file.path)
    }
}
