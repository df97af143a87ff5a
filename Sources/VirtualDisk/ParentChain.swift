internal import BlockDevice
internal import ControlLanguage
internal import Platform
internal import SystemPackage

/// Follows the parents of a differencing disk down to one that has none (formats.md §2.8, §3.9).
///
/// A parent counts only if it is of the child's own family and has the identity that the child has recorded; where it was found does not
/// matter.
struct ParentChain {
    /// Seconds from 1970 to 2000, where VHD time begins.
    private static let epoch: Int64 = 946_684_800

    private let opening: ChainOpening
    private var current: (image: OpenImage, layer: OpenLayer)
    private var identities: [FileIdentity]
    /// Paths of `parent=`, and whether each was of use.
    private var offered: [(path: FilePath, isUsed: Bool)]

    /// The parents, the nearest first.
    private(set) var layers: [any ImageLayer] = []
    private(set) var links: [OpenedDisk.Link]
    private(set) var locks: [FileLock]
    private(set) var warnings: [String]

    init(
        _ opening: ChainOpening,
        child: OpenImage,
        _ layer: OpenLayer,
        _ lock: FileLock?,
        _ warnings: [String]
    ) {
        self.opening = opening
        current = (child, layer)
        identities = [child.status.identity]
        links = [.init(path: child.path, layer: layer, origin: "request")]
        locks = [lock].compactMap(\.self)
        self.warnings = warnings + layer.warnings
        offered = opening.files.words.parents.map { (FilePath(bytes: $0.bytes), false) }
    }

    /// Opens parent after parent.
    mutating func follow() throws(AttachError) {
        while let reference = current.layer.parent {
            guard identities.count < ChainOpening.depthLimit else {
                throw AttachError(
                    .vhdDifferencingChainErrorInParent,
                    "the chain has more than \(ChainOpening.depthLimit) layers",
                    path: current.image.path.string
                )
            }
            guard !reference.accepted.isEmpty else {
                throw Self.unidentified(current.layer.family).at(current.image.path.string)
            }
            try openParent(reference)
        }
        if let useless = offered.first(where: { !$0.isUsed }) {
            throw AttachError(
                .vhdChildParentIDMismatch,
                "parent= names this file, but no layer of \(links[0].path) has it as its parent",
                path: useless.path.string
            )
        }
    }

    /// The answer for a child that does not say which disk its parent is.
    private static func unidentified(_ family: ImageFamily) -> AttachError {
        switch family {
        case .vhd:
            AttachError(
                .vhdInvalidType,
                "the parent's id is all zero (a raw parent, as Xen makes them): it could not be told from any other file"
            )
        case .vhdx:
            AttachError(
                .vhdChildParentIDMismatch,
                "the parent locator has no parent_linkage that is not zero: the parent could not be told from any other file"
            )
        }
    }

    private mutating func openParent(_ reference: ParentReference) throws(AttachError) {
        var failures = SearchFailures(child: current.image.path, current.layer.family)
        for index in offered.indices where !offered[index].isUsed {
            let path = try opening.files.requester.absolute(offered[index].path)
            if try tryCandidate(path, "parent=", reference, &failures) {
                offered[index].isUsed = true
                return
            }
        }
        let search = ParentSearch(reference, child: current.image.path)
        for candidate in search.candidates {
            if try tryCandidate(candidate.path, candidate.origin, reference, &failures) { return }
        }
        // Windows does not care about case: look again, so.
        for candidate in search.candidates {
            guard let path = opening.files.ignoringCase(candidate.path) else { continue }
            if try tryCandidate(path, candidate.origin, reference, &failures) { return }
        }
        throw failures.error(expected: reference.accepted)
    }

    /// Opens one candidate; false when it is not the one.
    private mutating func tryCandidate(
        _ path: FilePath,
        _ origin: String,
        _ reference: ParentReference,
        _ failures: inout SearchFailures
    ) throws(AttachError) -> Bool {
        let (known, child) = (identities, current)
        var isParent = false
        do {
            let found = try opening.openParent(path, child.layer.family, &warnings) {
                (image, layer) throws(AttachError) in
                guard reference.accepted.contains(layer.identity) else {
                    failures.noteOther(path, found: layer.identity)
                    return false
                }
                guard !known.contains(image.status.identity) else {
                    throw AttachError(
                        .vhdDifferencingChainCycleDetected,
                        "this disk is its own ancestor",
                        path: image.path.string
                    )
                }
                guard layer.logicalSectorSize == child.layer.logicalSectorSize else {
                    throw AttachError(
                        .vhdChildParentSizeMismatch,
                        "its sectors have \(layer.logicalSectorSize) bytes, those of its child \(child.image.path) have "
                            + "\(child.layer.logicalSectorSize)",
                        path: image.path.string
                    )
                }
                isParent = true
                return true
            }
            guard let (image, layer, lock) = found else { return false }
            noteTimestamp(reference, image, layer)
            layers.append(layer.layer)
            links.append(.init(path: image.path, layer: layer, origin: origin))
            if let lock { locks.append(lock) }
            warnings += layer.warnings
            identities.append(image.status.identity)
            current = (image, layer)
            return true
        } catch {
            // A cycle, a conflict, other sectors or an interruption is an answer, and so is all that is wrong with the parent itself; anything
            // else may only mean that the next candidate is right.
            if isParent || Self.answers.contains(error.error) { throw error }
            failures.note(path, error)
            return false
        }
    }

    private static let answers: [Win32Error] = [
        .vhdDifferencingChainCycleDetected, .vhdChildParentSizeMismatch, .sharingViolation, .operationAborted,
    ]

    /// The unique id of a VHD stays when a disk is written; only times can hint at a parent that changed. Copying changes times too, so it
    /// is a warning.
    private mutating func noteTimestamp(_ reference: ParentReference, _ image: OpenImage, _ layer: OpenLayer) {
        guard let timestamp = reference.timestamp, let own = layer.timestamp else { return }
        let recorded = Int64(timestamp) + Self.epoch
        let times = [image.status.modifiedSeconds, Int64(own) + Self.epoch]
        guard !times.contains(where: { (recorded - 2...recorded + 2).contains($0) }) else { return }
        warnings.append(
            "\(image.path): its time is not the one that \(current.image.path) has recorded; "
                + "if it was written to since, what the disk shows is wrong"
        )
    }
}
