/// What the daemon and `vhdfs-volume` say to each other.
///
/// A conversation over a socket pair, led by the daemon: it sends one request and then only answers the child's wishes for bytes of the volume,
/// until the child has answered. Every message is a frame: the length of its payload (4 bytes), its kind (1 byte), and the payload. Integers are
/// little-endian. The child has nothing but this socket; the daemon believes nothing that it has not checked.
///
/// ```
/// daemon                               child
/// open(kind, size, sector size)   →
///                                 ←    need(offset, count)         any number of times
/// bytes(…) or noBytes             →
///                                 ←    part(…)                     for lists, any number of times
///                                 ←    done(…) or failed(kind, words)
/// ```
public enum Frame {
    /// What a frame says.
    public enum Kind: UInt8, Sendable {
        // From the daemon.
        case request = 1
        case bytes = 2
        case noBytes = 3
        // From the child.
        case need = 16
        case part = 17
        case done = 18
        case failed = 19
    }

    /// Bytes before the payload.
    public static let headerSize = 5
    /// The longest payload.
    public static let payloadLimit = 2 << 20
    /// The most bytes of the volume that one `need` may ask for, and of a file that one `read` may.
    public static let byteLimit = 1 << 20

    /// The header of a frame.
    public static func header(_ kind: Kind, count: Int) -> [UInt8] {
        let length = UInt32(truncatingIfNeeded: count)
        return (0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * UInt32($0))) } + [kind.rawValue]
    }

    /// Reads a header; nil if it is none.
    public static func parse(_ header: [UInt8]) -> (kind: Kind, count: Int)? {
        guard header.count == headerSize, let kind = Kind(rawValue: header[4]) else { return nil }
        let count = header[..<4].reversed().reduce(0) { $0 << 8 | Int($1) }
        return count <= payloadLimit ? (kind, count) : nil
    }
}
