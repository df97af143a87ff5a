/// The line that ends the answer to a request.
///
/// For `list`, `info` and `help` the lines of the answer itself come before it.
public enum Response: Hashable, Sendable {
    /// An image is attached.
    ///
    /// - Parameters:
    ///   - name: its name.
    ///   - path: its directory below the mount point, any bytes.
    case attached(name: AttachmentName, path: [UInt8])
    /// An attachment has ended.
    case detached(name: AttachmentName)
    /// All attachments have been named.
    case listed
    /// An attachment has been told about.
    case informed(name: AttachmentName)
    /// The requests have been explained.
    case explained
    /// The request failed.
    ///
    /// - Parameters:
    ///   - code: the Win32 code.
    ///   - name: its name, as `ERROR_SHARING_VIOLATION`.
    ///   - text: the path, what was wrong, and what to do.
    case failed(code: UInt32, name: String, text: String)

    /// The response as one line, without its newline; control characters in it are escaped.
    ///
    /// The path or text is the rest of the line, without quotes.
    public var line: [UInt8] {
        switch self {
        case .attached(let name, let path): escapingControls(Array("ok attach \(name) ".utf8) + path)
        case .detached(let name): Array("ok detach \(name)".utf8)
        case .listed: Array("ok list".utf8)
        case .informed(let name): Array("ok info \(name)".utf8)
        case .explained: Array("ok help".utf8)
        case .failed(let code, let name, let text): escapingControls(Array("error \(code) \(name) \(text)".utf8))
        }
    }
}
