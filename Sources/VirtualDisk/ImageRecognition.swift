internal import BlockDevice
internal import ControlLanguage
internal import ISOFormat
internal import VHDFormat

/// The provider that a file belongs to, found by content, never by name (formats.md §1).
enum ImageKind: String, Sendable {
    case vhd
    case iso
    case raw

    /// Decides what a file is.
    ///
    /// - Parameter type: what the request says; `auto` looks, anything else must fit.
    static func of(_ file: any HostFile, type: AttachWords.ImageType) throws(AttachError) -> ImageKind {
        do {
            switch type {
            case .raw: return .raw
            case .vhd: return .vhd
            case .iso:
                guard try ISOImage.recognize(file) != nil else {
                    throw AttachError(
                        .fileCorrupt,
                        "no ISO 9660 or UDF volume descriptor in this file",
                        path: file.path
                    )
                }
                return .iso
            case .automatic: return try recognize(file)
            case .vhdx, .vhdSet: throw unsupported(file)
            }
        } catch let error as DiskError {
            throw AttachError(error)
        } catch let error as AttachError {
            throw error
        } catch {
            throw AttachError(.vhdMetadataReadFailure, "\(error)", path: file.path)
        }
    }

    private static func recognize(_ file: any HostFile) throws -> ImageKind {
        let vhd = try VHDImage.recognize(file)
        if case .tail = vhd { return .vhd }
        if try startsWithVHDX(file) { throw unsupported(file) }
        if case .substitute = vhd { return .vhd }
        if try ISOImage.recognize(file) != nil { return .iso }
        // Cookies that can't be trusted: let the provider say what is wrong with them.
        if case .damaged = vhd { return .vhd }
        throw AttachError(
            .virtDiskProviderNotFound,
            "this is no VHD and no ISO or UDF image; for a raw disk say type=raw",
            path: file.path
        )
    }

    private static func startsWithVHDX(_ file: any HostFile) throws(DiskError) -> Bool {
        guard try file.size() >= 65_536 else { return false }
        return try file.readBytes("file identifier", at: 0, count: 8) == Array("vhdxfile".utf8)
    }

    private static func unsupported(_ file: any HostFile) -> AttachError {
        AttachError(
            .virtDiskProviderNotFound,
            "VHDX images can't be attached by this version; convert with: qemu-img convert -O vpc -o force_size=on",
            path: file.path
        )
    }
}
