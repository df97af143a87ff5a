/// The identity of a file or folder within its volume.
///
/// The reader chooses it: an inode number, the place of a directory record. Two names of one file (hard links) have the same one, and it stays the
/// same as long as the volume does. It has at most 42 bits, so that it fits into the inode number of the tree.
public struct FileID: RawRepresentable, Hashable, Sendable {
    /// The number.
    public let rawValue: UInt64

    /// Makes an identity of a number.
    @inlinable
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// How many bits an identity has at most.
    public static let bits: UInt64 = 42

    /// Whether the number has no more bits than it may.
    @inlinable
    public var isValid: Bool { rawValue >> Self.bits == 0 }
}
