internal import BlockDevice
internal import ByteIO
internal import ControlLanguage
internal import ISOFormat
internal import SystemPackage
internal import VHDFormat
internal import VHDXFormat

/// The provider that a file belongs to, found by content, never by name (formats.md §1).
enum ImageKind: String, Sendable {
    case vhd
    case vhdx
    case vhdSet = "vhdset"
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
            case .vhdSet: return .vhdSet
            case .vhdx:
                guard try VHDXImage.recognize(file) else {
                    throw AttachError(.fileCorrupt, "no VHDX file identifier at its start", path: file.path)
                }
                return .vhdx
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
        let isVHDX = try VHDXImage.recognize(file)
        if vhd == .tail, !isVHDX { return .vhd }
        // What begins as a VHDX has no copy of a footer there: its substitute can only be a footer of 511 bytes, of a fixed disk.
        if isVHDX, try vhd == .substitute || vhd == .tail && endsAsFixedVHD(file) {
            guard isNamedVHD(file.path) else { throw ambiguous(file) }
            return .vhd
        }
        // Let the provider say what is wrong with it, rather than believe the guest.
        if isVHDX, vhd == .damaged, isNamedVHD(file.path) { return .vhd }
        if isVHDX, try file.size() >= smallestVHDX || !VHDSet.isSet(file.path) { return .vhdx }
        if case .substitute = vhd { return .vhd }
        if try ISOImage.recognize(file) != nil { return .iso }
        // Cookies that can't be trusted: let the provider say what is wrong with them.
        if case .damaged = vhd { return .vhd }
        // Of sets nothing is known but the name; it only makes the answer a better one.
        if VHDSet.isSet(file.path) { return .vhdSet }
        throw AttachError(
            .virtDiskProviderNotFound,
            "this is no VHD, no VHDX, and no ISO or UDF image; for a raw disk say type=raw",
            path: file.path
        )
    }

    /// The fixed parts of a VHDX reach this far.
    private static let smallestVHDX: UInt64 = 1 << 20

    /// Whether the footer at the end says "fixed". Any other footer at the end of a file that begins as a VHDX is a guest's: a dynamic VHD
    /// begins with a copy of its footer.
    private static func endsAsFixedVHD(_ file: any HostFile) throws -> Bool {
        let type = try file.readBytes("footer", at: try file.size() - 512, count: 512).load(UInt32.self, at: 60, .big)
        return type == 2
    }

    /// A fixed VHD begins, and a VHDX ends, with bytes of its guest, who can make one look like the other. Only who attaches it knows.
    private static func ambiguous(_ file: any HostFile) -> AttachError {
        AttachError(
            .virtDiskProviderNotFound,
            "this file begins as a VHDX and ends as a fixed VHD: a guest may have written one of the two; say type=vhdx or type=vhd",
            path: file.path
        )
    }

    /// The name decides nothing but whether to ask.
    private static func isNamedVHD(_ path: String) -> Bool {
        [".vhd", ".avhd", ".vud"].contains { path.lowercased().hasSuffix($0) }
    }
}
