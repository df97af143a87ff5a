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

    let files: ImageOpening
    let image: FilePath
    let file: FileIdentity
    let family: ImageFamily
    /// What children have recorded of this disk, before anything is written.
    let identity: GUID

    /// - Parameter opening: how the disk was opened; nobody waits for this search in a way that could be cancelled.
    init(_ opening: ImageOpening, _ image: OpenImage, _ layer: OpenLayer) {
        var words = AttachWords()
        words.type = .automatic
        files = ImageOpening(opener: opening.opener, requester: opening.requester, words: words, cancellation: nil)
        self.image = image.path
        file = image.status.identity
        family = layer.family
        identity = layer.identity
    }

    /// Why a write would do harm; nil when it would not, as far as can be seen.
    func harm() -> DiskError? {
        let names = (files.names(in: image.removingLastComponent()) ?? []).sorted()
        if let set = set(among: names) {
            return refusal("it belongs to the VHD Set \(set), whose records would be wrong then")
        }
        if let child = child(among: names) {
            return refusal("\(child) has it as its parent and would be worthless then")
        }
        return nil
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

    private func child(among names: [String]) -> String? {
        guard identity != .zero else { return nil }
        let candidates = names.lazy.filter { name in
            Self.extensions.contains { name.lowercased().hasSuffix($0) }
        }
        // A file may have many names.
        var seen: Set<FileIdentity> = [file]
        return candidates.prefix(Self.limit).first { isChild($0, &seen) }
    }

    /// Whether a file is an image that has recorded this disk as its parent. One that can't be opened or read is nobody's child.
    private func isChild(_ name: String, _ seen: inout Set<FileIdentity>) -> Bool {
        guard let component = FilePath.Component(name) else { return false }
        let path = image.removingLastComponent().appending(component)
        guard let candidate = try? files.open(path, writing: false), seen.insert(candidate.status.identity).inserted,
            let parent = try? family.parent(of: candidate.file)
        else { return false }
        return parent.accepted.contains(identity)
    }
}
