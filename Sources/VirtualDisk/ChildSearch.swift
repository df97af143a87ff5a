internal import BlockDevice
internal import ByteIO
internal import ControlLanguage
internal import Platform
internal import SystemPackage

/// Looks for images that stand on a disk that is about to be written: what they show would no longer be what it was (formats.md §3.3).
///
/// They are found where they nearly always are, in the same folder, and with the rights of the user who attached the disk.
struct ChildSearch: Sendable {
    /// More files than this are not looked into.
    static let limit = 4096
    private static let extensions = [".vhd", ".avhd", ".vud", ".vhdx", ".avhdx"]

    private let opening: ImageOpening
    private let image: FilePath
    private let file: FileIdentity
    private let family: ImageFamily
    /// What children have recorded of this disk, before anything is written.
    private let identity: GUID

    init(_ opening: ImageOpening, _ image: OpenImage, _ layer: OpenLayer) {
        self.opening = opening
        self.image = image.path
        file = image.status.identity
        family = layer.family
        identity = layer.identity
    }

    /// Whether a write would do harm, as far as can be seen.
    ///
    /// - Parameter cancellation: raised when nobody waits for the answer any more.
    func harm(_ cancellation: Cancellation?) -> WriteGate.Finding {
        let files = ImageOpening(
            opener: opening.opener,
            requester: opening.requester,
            words: AttachWords(),
            cancellation: cancellation
        )
        defer { opening.opener.rest() }
        do {
            let names = try names(in: image.removingLastComponent(), files).sorted()
            if let set = set(among: names) {
                return .harmful(refusal("it belongs to the VHD Set \(set), whose records would be wrong then"))
            }
            if let child = try child(among: names, files) {
                return .harmful(refusal("\(child) has it as its parent and would be worthless then"))
            }
            return .harmless
        } catch {
            let text =
                "it can't be found out whether images in its folder have it as their parent (\(error)), so nothing is written"
            return .unknown(DiskError(.hasChildren, text, path: image.string))
        }
    }

    /// The names in the folder; none for a user who may not list it.
    private func names(in folder: FilePath, _ files: ImageOpening) throws(OpenError) -> [String] {
        do {
            return try files.listing(of: folder)
        } catch .failed(.permissionDenied), .fileNotFound, .pathNotFound {
            return []
        }
    }

    private func refusal(_ reason: String) -> DiskError {
        DiskError(
            .hasChildren,
            "writes are refused: \(reason); attach it readonly, or with break-children if that does not matter",
            path: image.string
        )
    }

    private func set(among names: [String]) -> String? {
        guard let name = image.lastComponent?.string, let set = VHDSet.set(ofMember: name)?.lowercased() else {
            return nil
        }
        return names.first { $0.lowercased() == set }
    }

    private func child(among names: [String], _ files: ImageOpening) throws(AttachError) -> String? {
        guard identity != .zero else { return nil }
        let candidates = names.lazy.filter { name in
            Self.extensions.contains { name.lowercased().hasSuffix($0) }
        }
        // A file may have many names.
        var seen: Set<FileIdentity> = [file]
        for name in candidates.prefix(Self.limit) where try isChild(name, files, &seen) { return name }
        return nil
    }

    /// Whether a file is an image that has recorded this disk as its parent. One that can't be opened or read is nobody's child; but
    /// where files can't be opened at all just now, nothing is known.
    private func isChild(
        _ name: String,
        _ files: ImageOpening,
        _ seen: inout Set<FileIdentity>
    ) throws(AttachError) -> Bool {
        guard let component = FilePath.Component(name) else { return false }
        let path = image.removingLastComponent().appending(component)
        let candidate: OpenImage
        do throws(AttachError) {
            candidate = try files.open(path, writing: false)
        } catch {
            if [.notEnoughMemory, .operationAborted].contains(error.error) { throw error }
            return false
        }
        guard seen.insert(candidate.status.identity).inserted, let parent = try? family.parent(of: candidate.file)
        else { return false }
        return parent.accepted.contains(identity)
    }
}
