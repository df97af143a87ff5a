internal import ByteIO
internal import SystemPackage

/// A VHD Set: `Name.vhds`, whose format nobody has published, and beside it the disks `Name_<GUID>.avhdx`, which are ordinary VHDX files
/// (formats.md §4). Windows does not care about case in names; nor is it cared about here.
enum VHDSet {
    private static let setExtension = ".vhds"
    private static let memberExtension = ".avhdx"

    /// Whether a file is a set by its name, the only thing known of them.
    static func isSet(_ name: String) -> Bool {
        name.lowercased().hasSuffix(setExtension)
    }

    /// The disks of a set among the names in its folder.
    static func members(of set: String, among names: [String]) -> [String] {
        names.filter { self.set(ofMember: $0)?.lowercased() == set.lowercased() }.sorted()
    }

    /// The name of the set that a file belongs to, if its own name is that of a member: `Name_<GUID>.avhdx` belongs to `Name.vhds`.
    static func set(ofMember name: String) -> String? {
        guard name.lowercased().hasSuffix(memberExtension) else { return nil }
        let stem = name.dropLast(memberExtension.count)
        guard let separator = stem.lastIndex(of: "_"), separator > stem.startIndex,
            GUID(windowsText: String(stem[stem.index(after: separator)...])) != nil
        else { return nil }
        return stem[..<separator] + setExtension
    }
}

extension VHDSet {
    /// The answer to an attach of a set.
    static func refusal(of image: FilePath, names: [String]) -> AttachError {
        let members = members(of: image.lastComponent?.string ?? "", among: names)
        let hint =
            members.isEmpty
            ? "no disk of it (Name_<GUID>.avhdx) is beside it"
            : "its disks are ordinary VHDX files: attach one of \(members.joined(separator: ", "))"
        return AttachError(.vhdInvalidType, "a VHD Set can't be attached itself; \(hint)", path: image.string)
    }
}
