internal import BlockDevice
internal import SystemPackage

/// Turns what a child says about its parent into paths of this host, in the order in which they are tried (formats.md §2.8, §3.9).
struct ParentSearch {
    /// A path to try, and what led to it.
    struct Candidate {
        /// The path.
        var path: FilePath
        /// What led to it, as `info` shows it under `resolved_by`.
        var origin: String
    }

    /// The paths, without repetitions.
    let candidates: [Candidate]

    /// - Parameter child: the canonical path of the child image.
    init(_ reference: ParentReference, child: FilePath) {
        let folder = child.removingLastComponent()
        var found: [Candidate] = []
        func add(_ paths: [FilePath], _ origin: String) {
            for path in paths where !found.contains(where: { $0.path == path }) {
                found.append(Candidate(path: path, origin: origin))
            }
        }
        for candidate in reference.paths {
            switch candidate {
            case .relative(let text):
                add(WindowsPath(text).map { [$0.relative(to: folder)] } ?? [], "relative-path")
            case .absolute(let text):
                add(WindowsPath(text)?.places(above: folder) ?? [], "absolute-path")
            case .url(let text):
                add(WindowsPath(Self.path(ofURL: text))?.places(above: folder) ?? [], "url")
            case .name(let text):
                let beside = WindowsPath(text)?.components.last.flatMap { FilePath.Component($0) }
                add(beside.map { [folder.appending($0)] } ?? [], "name")
            }
        }
        candidates = found
    }

    /// The path of a `file://host/path` URL, its percent escapes decoded.
    private static func path(ofURL text: String) -> String {
        guard text.lowercased().hasPrefix("file://") else { return text }
        let rest = text.dropFirst(7)
        var bytes: [UInt8] = []
        var iterator = Array((rest.firstIndex(of: "/").map { rest[$0...] } ?? rest).utf8)[...]
        while let byte = iterator.popFirst() {
            if byte == UInt8(ascii: "%"),
                let value = UInt8(String(decoding: iterator.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                iterator = iterator.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
