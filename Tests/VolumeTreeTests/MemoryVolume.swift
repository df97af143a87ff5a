import BlockDevice
import FileSystem
import Platform
import TestSupport
import Volumes

/// A volume that stands in memory, for what the tree does with volumes.
final class MemoryVolume: VolumeReader {
    struct Node: Sendable {
        var attributes: FileAttributes
        var parent: FileID?
        var names: [(name: [UInt8], file: FileID)] = []
        var content: [UInt8] = []
        var generation: UInt64 = 1
        var target: LinkTarget?
        var streams: [String: [UInt8]] = [:]
        var isHidden = false
    }

    struct State: Sendable {
        var nodes: [FileID: Node] = [:]
        var folderReads = 0
        var isClosed = false
        /// Thrown by every call.
        var failure: VolumeError?
    }

    let state = Locked(State())
    let root = FileID(rawValue: 5)
    let statistics = VolumeStatistics(blockSize: 512, blocks: 100, freeBlocks: 40, files: 7)

    init() {
        state.withLock { $0.nodes[root] = Node(attributes: Self.attributes(.directory)) }
    }

    static func attributes(_ kind: NodeKind, permissions: UInt16? = nil, size: Int = 0) -> FileAttributes {
        FileAttributes(
            kind: kind,
            size: UInt64(size),
            allocatedBytes: 512,
            permissions: permissions,
            modified: Timestamp(seconds: 1_000_000, nanoseconds: 5)
        )
    }

    /// Adds a file; returns its identity.
    @discardableResult
    func add(_ name: String, to parent: FileID? = nil, _ attributes: FileAttributes, content: [UInt8] = []) -> FileID {
        add(Array(name.utf8), to: parent, attributes, content: content)
    }

    @discardableResult
    func add(
        _ name: [UInt8],
        to parent: FileID? = nil,
        _ attributes: FileAttributes,
        content: [UInt8] = [],
        target: LinkTarget? = nil
    ) -> FileID {
        let parent = parent ?? root
        return state.withLock { state in
            let file = FileID(rawValue: UInt64(state.nodes.count + 100))
            var node = Node(attributes: attributes, parent: parent, content: content, target: target)
            node.attributes.size = UInt64(content.count)
            state.nodes[file] = node
            state.nodes[parent]?.names.append((name, file))
            return file
        }
    }

    @discardableResult
    func addFolder(_ name: String, to parent: FileID? = nil) -> FileID {
        add(name, to: parent, Self.attributes(.directory))
    }

    @discardableResult
    func addLink(_ name: String, to parent: FileID? = nil, target: String) -> FileID {
        let target = LinkTarget(posix: Array(target.utf8))
        return add(Array(name.utf8), to: parent, Self.attributes(.symbolicLink), target: target)
    }

    private func node(_ file: FileID) throws(VolumeError) -> Node {
        let (node, failure) = state.withLock { ($0.nodes[file], $0.failure) }
        if let failure { throw failure }
        guard let node else { throw VolumeError(.damaged, "there is no file \(file.rawValue)") }
        return node
    }

    func attributes(of file: FileID) throws(VolumeError) -> FileAttributes {
        try node(file).attributes
    }

    func folder(_ directory: FileID) throws(VolumeError) -> Folder {
        state.withLock { $0.folderReads += 1 }
        let node = try node(directory)
        var folder = Folder(parent: node.parent)
        for (name, file) in node.names {
            let child = try self.node(file)
            try folder.append(
                name: name,
                file: file,
                kind: child.attributes.kind,
                attributes: file.rawValue % 2 == 0 ? child.attributes : nil,
                isHidden: child.isHidden
            )
        }
        return folder
    }

    func linkTarget(of link: FileID) throws(VolumeError) -> LinkTarget {
        guard let target = try node(link).target else { throw VolumeError(.damaged, "not a link") }
        return target
    }

    func open(_ file: FileID) throws(VolumeError) -> any VolumeFile {
        let node = try node(file)
        return MemoryVolumeFile(node.content, generation: node.generation)
    }

    func extendedAttributes(of file: FileID) throws(VolumeError) -> [ExtendedAttribute] {
        try node(file).streams.sorted { $0.key < $1.key }.map {
            ExtendedAttribute(name: Array($0.key.utf8), size: UInt64($0.value.count))
        }
    }

    func value(of attribute: ExtendedAttribute, of file: FileID) throws(VolumeError) -> [UInt8] {
        try node(file).streams[String(decoding: attribute.name, as: UTF8.self)] ?? []
    }

    func close() {
        state.withLock { $0.isClosed = true }
    }
}

final class MemoryVolumeFile: VolumeFile {
    private let device: MemoryDevice
    var size: UInt64 { device.size }
    let generation: UInt64

    init(_ content: [UInt8], generation: UInt64) {
        self.generation = generation
        device = MemoryDevice(SparseBytes(content))
    }

    func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(VolumeError) {
        do {
            try device.read(into: &buffer, at: offset)
        } catch {
            throw VolumeError(error)
        }
    }

    func allocation(at offset: UInt64, limit: UInt64) throws(VolumeError) -> HostAllocation {
        HostAllocation(isData: true, end: limit)
    }
}
