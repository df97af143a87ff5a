/// Why an image can't be opened, or a byte of it not be read or written.
///
/// The kind is stable and decides the Win32 code (`VirtualDisk`); the rest is for people: which file, which structure, where, what
/// was found and what was expected, and what to do next.
public struct DiskError: Error, Sendable {
    /// What went wrong, as `formats.md` §0.1 names it.
    public enum Kind: Sendable, Hashable, CaseIterable {
        case notRecognized
        case unsupportedVersion
        case unsupportedHeaderVersion
        case unsupportedFeature
        case footerMissing
        case footerChecksum
        case footerCorrupt
        case headerChecksum
        case headerCorrupt
        case allocationTableCorrupt
        case invalidBlockSize
        case bitmapMismatch
        case invalidSize
        case fileCorrupt
        case truncated
        case limit
        case parentNotFound
        case parentAccess
        case parentIDMismatch
        case parentSizeMismatch
        case chainCycle
        case errorInParent
        case readOnly
        /// Other images stand on this one: writing to it would make them worthless.
        case hasChildren
        case noSpace
        case outOfRange
        case io
        case poisoned
        case interrupted
        /// The host has not answered for long.
        case silent
        case gone
    }

    /// The stable kind.
    public let kind: Kind
    private let detail: Detail

    private final class Detail: Sendable {
        let text: String
        let path: String?
        let errno: Int32?

        init(text: String, path: String?, errno: Int32?) {
            self.text = text
            self.path = path
            self.errno = errno
        }
    }

    /// Makes an error.
    ///
    /// - Parameters:
    ///   - kind: the stable kind.
    ///   - text: what was wrong and what to do about it, without the path.
    ///   - path: the image file.
    ///   - errno: the host's error number behind it, if there is one.
    public init(_ kind: Kind, _ text: String, path: String? = nil, errno: Int32? = nil) {
        self.kind = kind
        detail = Detail(text: text, path: path, errno: errno)
    }

    /// What was wrong and what to do about it, without the path.
    public var text: String { detail.text }
    /// The image file.
    public var path: String? { detail.path }
    /// The host's error number behind it.
    public var errno: Int32? { detail.errno }

    /// The same error, of a file that is named only if none was named yet.
    public func at(_ path: String) -> DiskError {
        detail.path == nil ? DiskError(kind, text, path: path, errno: errno) : self
    }
}

extension DiskError: CustomStringConvertible {
    /// Path and text.
    public var description: String {
        path.map { "\($0): \(text)" } ?? text
    }
}
