internal import BlockDevice
internal import ByteIO
internal import ControlLanguage
internal import Platform
internal import SystemPackage
internal import VHDFormat

/// Follows the parents of a differencing disk down to one that has none (formats.md §2.8).
///
/// A parent counts only if its unique id is the one that the child has recorded; where it was found does not matter.
struct ParentChain {
    /// Seconds from 1970 to 2000, where VHD time begins.
    private static let epoch: Int64 = 946_684_800

    private let opening: ChainOpening
    private var current: (image: OpenImage, layer: any VHDLayer)
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
        _ layer: any VHDLayer,
        _ lock: FileLock?,
        _ warnings: [String]
    ) {
        self.opening = opening
        current = (child, layer)
        identities = [child.status.identity]
        links = [.init(path: child.path, identifier: "\(layer.facts.footer.uniqueID)", origin: "request")]
        locks = [lock].compactMap(\.self)
        self.warnings = warnings + layer.facts.warnings
        offered = opening.files.words.parents.map { (FilePath(bytes: $0.bytes), false) }
    }

    /// Opens parent after parent.
    mutating func follow() throws(AttachError) {
        while let reference = current.layer.facts.parent {
            guard identities.count < ChainOpening.depthLimit else {
                throw AttachError(
                    .vhdDifferencingChainErrorInParent,
                    "the chain has more than \(ChainOpening.depthLimit) layers",
                    path: current.image.path.string
                )
            }
            guard reference.uniqueID != .zero else {
                throw AttachError(
                    .vhdInvalidType,
                    "the parent's id is all zero (a raw parent, as Xen makes them): it could not be told from any other file",
                    path: current.image.path.string
                )
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

    private mutating func openParent(_ reference: VHDParentReference) throws(AttachError) {
        var failures = SearchFailures(child: current.image.path)
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
        throw failures.error(expected: reference.uniqueID)
    }

    /// Opens one candidate; false when it is not the one.
    private mutating func tryCandidate(
        _ path: FilePath,
        _ origin: String,
        _ reference: VHDParentReference,
        _ failures: inout SearchFailures
    ) throws(AttachError) -> Bool {
        let known = identities
        do {
            let found = try opening.openParent(path, &warnings) { (image, layer) throws(AttachError) in
                guard layer.facts.footer.uniqueID == reference.uniqueID else {
                    failures.noteOther(path, found: layer.facts.footer.uniqueID)
                    return false
                }
                guard !known.contains(image.status.identity) else {
                    throw AttachError(
                        .vhdDifferencingChainCycleDetected,
                        "this disk is its own ancestor",
                        path: image.path.string
                    )
                }
                return true
            }
            guard let (image, layer, lock) = found else { return false }
            noteTimestamp(reference, image, layer)
            layers.append(layer)
            links.append(.init(path: image.path, identifier: "\(layer.facts.footer.uniqueID)", origin: origin))
            if let lock { locks.append(lock) }
            warnings += layer.facts.warnings
            identities.append(image.status.identity)
            current = (image, layer)
            return true
        } catch {
            // A cycle, a conflict or an interruption is an answer; anything else may only mean that the next candidate is right.
            if [.vhdDifferencingChainCycleDetected, .sharingViolation, .operationAborted, .virtualDiskLimitation]
                .contains(error.error)
            {
                throw error
            }
            failures.note(path, error)
            return false
        }
    }

    /// The unique id stays when a disk is written; only times can hint at a parent that changed. Copying changes times too, so it
    /// is a warning.
    private mutating func noteTimestamp(_ reference: VHDParentReference, _ image: OpenImage, _ layer: any VHDLayer) {
        guard reference.timestamp != 0 else { return }
        let recorded = Int64(reference.timestamp) + Self.epoch
        let times = [image.status.modifiedSeconds, Int64(layer.facts.footer.timestamp) + Self.epoch]
        guard !times.contains(where: { (recorded - 2...recorded + 2).contains($0) }) else { return }
        warnings.append(
            "\(image.path): its time is not the one that \(current.image.path) has recorded; "
                + "if it was written to since, what the disk shows is wrong"
        )
    }
}

/// Why no candidate was the parent, told in one answer.
struct SearchFailures {
    private let child: FilePath
    private var tried: [String] = []
    private var others: [String] = []
    private var errors: [AttachError] = []

    init(child: FilePath) {
        self.child = child
    }

    /// A candidate that is a VHD, but another one.
    mutating func noteOther(_ path: FilePath, found: GUID) {
        let text = "\(path) has the id \(found)"
        if !others.contains(text) { others.append(text) }
    }

    /// A candidate that could not be opened.
    mutating func note(_ path: FilePath, _ error: AttachError) {
        if !tried.contains(path.string) { tried.append(path.string) }
        if ![.fileNotFound, .pathNotFound].contains(error.error) { errors.append(error) }
    }

    /// The answer: the most telling of what was found.
    func error(expected: GUID) -> AttachError {
        let path = child.string
        let hint = "say where it is with parent=PATH"
        if !others.isEmpty {
            return AttachError(
                .vhdChildParentIDMismatch,
                "the parent must have the id \(expected), but \(others.joined(separator: ", ")); \(hint)",
                path: path
            )
        }
        if let error = errors.first {
            let isAccess = [.accessDenied, .virtDiskNotVirtualDisk].contains(error.error)
            return AttachError(
                isAccess ? .vhdParentVHDAccessDenied : .vhdDifferencingChainErrorInParent,
                "its parent can't be opened: \(error.explanation)",
                path: path
            )
        }
        guard !tried.isEmpty else {
            return AttachError(.vhdParentVHDNotFound, "the file does not say where its parent is; \(hint)", path: path)
        }
        return AttachError(
            .vhdParentVHDNotFound,
            "its parent was not found; tried \(tried.joined(separator: ", ")); \(hint)",
            path: path
        )
    }
}
