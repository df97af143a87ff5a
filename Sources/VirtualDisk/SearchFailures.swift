internal import ByteIO
internal import SystemPackage

/// Why no candidate was the parent, told in one answer.
struct SearchFailures {
    private let child: FilePath
    private let family: ImageFamily
    private var tried: [String] = []
    private var others: [String] = []
    private var errors: [AttachError] = []

    init(child: FilePath, _ family: ImageFamily) {
        self.child = child
        self.family = family
    }

    /// A candidate that is an image of the family, but another one.
    mutating func noteOther(_ path: FilePath, found: GUID) {
        let text = "\(path) has the id \(family.text(of: found))"
        if !others.contains(text) { others.append(text) }
    }

    /// A candidate that could not be opened.
    mutating func note(_ path: FilePath, _ error: AttachError) {
        if !tried.contains(path.string) { tried.append(path.string) }
        if ![.fileNotFound, .pathNotFound].contains(error.error) { errors.append(error) }
    }

    /// The answer: the most telling of what was found.
    func error(expected: [GUID]) -> AttachError {
        let path = child.string
        let hint = "say where it is with parent=PATH"
        if !others.isEmpty {
            return AttachError(
                .vhdChildParentIDMismatch,
                "the parent must have the id \(expected.map(family.text).joined(separator: " or ")), but \(others.joined(separator: ", ")); \(hint)",
                path: path
            )
        }
        if let error = errors.first {
            let isAccess = [.accessDenied, .virtDiskNotVirtualDisk].contains(error.error)
            return AttachError(
                isAccess ? .vhdParentVHDAccessDenied : .vhdDifferencingChainErrorInParent,
                "its parent can't be opened: \(error.explanation)",
                path: path
            )
        }
        guard !tried.isEmpty else {
            return AttachError(.vhdParentVHDNotFound, "the file does not say where its parent is; \(hint)", path: path)
        }
        return AttachError(
            .vhdParentVHDNotFound,
            "its parent was not found; tried \(tried.joined(separator: ", ")); \(hint)",
            path: path
        )
    }
}
