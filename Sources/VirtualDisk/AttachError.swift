/// Why a request failed: what attach, detach and everything around them throw.
public struct AttachError: Error, Hashable, Sendable {
    /// The Win32 code, and with it the errno.
    public let error: Win32Error
    /// What was wrong and what to do about it, without the path.
    public let text: String
    /// The file, or the name of the attachment, that it is about.
    public let path: String?

    /// Makes an error.
    public init(_ error: Win32Error, _ text: String, path: String? = nil) {
        self.error = error
        self.text = text
        self.path = path
    }

    /// Path and text, as the answer to a request has them behind code and name.
    public var explanation: String {
        path.map { "\($0): \(text)" } ?? text
    }

    /// The same error, about a file that is named only if none was named yet.
    public func at(_ path: String) -> AttachError {
        self.path == nil ? AttachError(error, text, path: path) : self
    }
}

extension AttachError: CustomStringConvertible {
    /// Path, text, name and code: `/img/a.vhd: already attached as a (ERROR_SHARING_VIOLATION, 32)`.
    public var description: String {
        "\(explanation) (\(error.name), \(error.code))"
    }
}
