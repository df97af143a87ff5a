internal import Platform

/// Which image files this process uses, and for what: a file is attached once, and nobody writes to what another disk has as its parent.
///
/// The locks on the files say the same to other processes; this says it with names.
final class ImageClaims: Sendable {
    /// What a file is used for.
    enum Role: Sendable {
        case disk(isReadOnly: Bool)
        case parent
    }

    private struct Claim {
        var holder: String
        var role: Role
    }

    private let claims = Locked<[FileIdentity: [Claim]]>([:])

    /// Takes a file into use for the attachment `holder`.
    func claim(_ identity: FileIdentity, as role: Role, for holder: String, path: String) throws(AttachError) {
        try claims.withLock { (claims) throws(AttachError) in
            for other in claims[identity] ?? [] {
                if let text = Self.conflict(role, other.role, other.holder) {
                    throw AttachError(.sharingViolation, text, path: path)
                }
            }
            claims[identity, default: []].append(Claim(holder: holder, role: role))
        }
    }

    private static func conflict(_ new: Role, _ old: Role, _ holder: String) -> String? {
        switch (new, old) {
        case (.disk, .disk): "already attached as \(holder)"
        case (.disk(isReadOnly: false), .parent): "it is a parent of \(holder); attach it readonly"
        case (.parent, .disk(isReadOnly: false)): "it is attached read/write as \(holder), so nothing can stand on it"
        default: nil
        }
    }

    /// Gives up everything that `holder` uses.
    func release(_ holder: String) {
        claims.withLock { claims in
            for (identity, all) in claims {
                let kept = all.filter { $0.holder != holder }
                claims[identity] = kept.isEmpty ? nil : kept
            }
        }
    }
}
