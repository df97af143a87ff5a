internal import Synchronization

/// Requests of a disk whose callers have been sent away, because the host has not answered for long. They may still be carried out.
public final class LeftRequests: Sendable {
    /// With so many, the host is taken for silent: nothing of the disk is tried any more until some have come back.
    private static let limit = 8

    /// What a user should know.
    public static let text = "the host does not answer; until it does, what is asked of the disk fails"

    private let requests = Atomic(0)
    private let changes = Atomic(0)

    /// Another one; one that is `changing` may still write to the image.
    public func add(changing: Bool) {
        if changing { changes.add(1, ordering: .sequentiallyConsistent) }
        requests.add(1, ordering: .sequentiallyConsistent)
    }

    /// One has come back.
    public func remove(changing: Bool) {
        requests.subtract(1, ordering: .sequentiallyConsistent)
        if changing { changes.subtract(1, ordering: .sequentiallyConsistent) }
    }

    /// Whether there are any.
    public var isEmpty: Bool { requests.load(ordering: .relaxed) == 0 }

    /// Whether the host is silent.
    public var areMany: Bool { requests.load(ordering: .relaxed) >= Self.limit }

    /// Whether bytes may be changed: not while an earlier write, of which its caller has been told that it failed, may still come to the same place.
    var allowsChanges: Bool { changes.load(ordering: .acquiring) == 0 && !areMany }
}
