/// A request that doesn't follow the grammar. It is ERROR_INVALID_PARAMETER, and nothing has been done.
public struct RequestError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Which word is wrong, and what is accepted instead; one line.
    public let text: String

    /// Makes an error.
    public init(_ text: String) {
        self.text = text
    }

    /// The text.
    public var description: String { text }
}
