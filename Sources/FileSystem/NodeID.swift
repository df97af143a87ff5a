/// The identity of an object of the tree.
///
/// The tree chooses it and never uses it again while the kernel may remember it. Pages that the kernel keeps belong to a
/// `NodeID`, so an object with other content needs another one.
public struct NodeID: RawRepresentable, Hashable, Sendable {
    /// The number that the kernel uses for the object.
    public let rawValue: UInt64

    /// Makes an identity of a number.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// The top directory; FUSE fixes its number.
    public static let root = NodeID(rawValue: 1)
}
