public import ByteIO

/// How a differencing VHD names its parent.
public struct VHDParentReference: Sendable {
    /// A text of the file that may lead to the parent.
    public enum Candidate: Sendable, Hashable {
        /// A Windows path relative to the child's folder, such as `.\base.vhd`.
        case relativePath(String)
        /// An absolute Windows path: with a drive letter, or UNC.
        case absolutePath(String)
        /// A `file://` URL.
        case url(String)
        /// The parent name of the header: a bare name or a whole path. Only its last component counts, beside the child.
        case name(String)
    }

    /// The unique id that the parent must have.
    public let uniqueID: GUID
    /// When the parent was changed last: seconds since 2000, or 0 when the child does not say (Windows today).
    public let timestamp: UInt32
    /// The texts, in the order in which they are to be tried.
    public let candidates: [Candidate]

    init(_ header: DynamicHeader) {
        uniqueID = header.parentID
        timestamp = header.parentTimestamp
        func texts(_ code: UInt32) -> [String] {
            header.locators.filter { $0.platformCode == code && !$0.text.isEmpty }.map(\.text)
        }
        candidates =
            texts(ParentLocator.relativeWindowsPath).map(Candidate.relativePath)
            + texts(ParentLocator.absoluteWindowsPath).map(Candidate.absolutePath)
            + texts(ParentLocator.macURL).map(Candidate.url)
            + (header.parentName.isEmpty ? [] : [.name(header.parentName)])
    }
}
