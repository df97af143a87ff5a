public import BlockDevice

/// Why a volume, or something in it, can't be read.
public struct VolumeError: Error, Sendable {
    /// What went wrong.
    public enum Kind: Sendable, Hashable {
        /// The file system isn't of the kind that the reader reads.
        case notRecognized
        /// The file system contradicts itself, or a part of it can't be read: `EIO`.
        case damaged
        /// It is sound, but written in a way that this reader does not know (encrypted, compressed by another program …): `EOPNOTSUPP`.
        case unsupported
        /// It is larger than this program is willing to keep: `EFBIG`.
        case limit
        /// The process that reads it has died, hangs, or may not be started again yet: `EIO`.
        case reader
        /// The disk under it can't be read.
        case disk
        /// The host of the disk does not answer: `ETIMEDOUT`.
        case silent
        /// The file has been deleted, and its place may be another's: `ESTALE`.
        case stale
        /// The disk has been detached: `ENXIO`.
        case gone
    }

    /// The stable kind.
    public let kind: Kind
    /// What was wrong, where, and what to do about it.
    public let text: String

    /// Makes an error.
    public init(_ kind: Kind, _ text: String) {
        self.kind = kind
        self.text = text
    }

    /// An error of the disk below.
    public init(_ error: DiskError) {
        self.init(error.kind == .gone ? .gone : error.kind == .silent ? .silent : .disk, "\(error)")
    }
}

extension VolumeError: CustomStringConvertible {
    /// The text.
    public var description: String { text }
}
