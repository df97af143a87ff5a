/// A text of a child image that may lead to its parent. Where a parent is found does not matter: its identity decides.
public enum ParentPath: Sendable, Hashable {
    /// A Windows path relative to the child's folder, such as `.\base.vhd`.
    case relative(String)
    /// An absolute Windows path: with a drive letter, a volume's GUID, or UNC.
    case absolute(String)
    /// A `file://` URL.
    case url(String)
    /// A bare name or a whole path, of which only the last component counts, beside the child.
    case name(String)
}

extension [ParentPath] {
    /// What stands in the image, each text once.
    public var text: String {
        var texts: [String] = []
        for path in self where !texts.contains(path.text) { texts.append(path.text) }
        return texts.joined(separator: ", ")
    }
}

extension ParentPath {
    fileprivate var text: String {
        switch self {
        case .relative(let text), .absolute(let text), .url(let text), .name(let text): text
        }
    }
}
