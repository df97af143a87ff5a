import FileSystem
import Platform
import SystemPackage

/// A tree in memory, flat, that writes down what it is asked and can be told how to behave.
final class MemoryTree: FileTree {
    private struct State {
        var names: [String: MemoryNode] = [:]
        var nodes: [NodeID: MemoryNode] = [:]
        var references: [NodeID: UInt64] = [:]
        var nextNode: UInt64 = 100
        var calls: [String] = []
    }

    private let state = Locked(State())

    /// Puts a node into the top directory.
    func add(_ node: MemoryNode) {
        state.withLock { state in
            state.names[node.name] = node
            state.nodes[NodeID(rawValue: node.inode)] = node
        }
    }

    func remove(_ name: String) {
        state.withLock { $0.names[name] = nil }
    }

    /// What was asked, as far as tests want to know.
    var calls: [String] { state.withLock { $0.calls } }

    func note(_ call: String) { state.withLock { $0.calls.append(call) } }

    /// References that the kernel holds to all nodes.
    var references: UInt64 { state.withLock { $0.references.values.reduce(0, +) } }

    /// The nodes that the kernel knows.
    var knownNodes: Set<NodeID> { state.withLock { Set($0.references.keys) } }

    func connect(_ cache: any KernelCache) {}

    /// All wait for the same.
    func host(of node: NodeID) -> UInt64? { node == .root ? nil : 7 }
    func didLeave(_ host: UInt64, changing: Bool) { note("left \(host) changing=\(changing)") }
    func didReturn(_ host: UInt64, changing: Bool) { note("returned \(host) changing=\(changing)") }

    func lookup(_ name: String, in directory: NodeID) throws(Errno) -> Entry {
        note("lookup \(name)")
        return try state.withLock { state throws(Errno) in
            guard let node = state.names[name] else { throw .noSuchFileOrDirectory }
            var id = NodeID(rawValue: node.inode)
            if node.isFreshAtEachLookup {
                id = NodeID(rawValue: state.nextNode)
                state.nextNode += 1
                state.nodes[id] = node
            }
            state.references[id, default: 0] += 1
            let validity = node.isFreshAtEachLookup ? 0.0 : 3600
            return Entry(
                node: id,
                answer: AttributeAnswer(node.attributes, validity: validity),
                nameValidity: validity
            )
        }
    }

    func forget(_ node: NodeID, count: UInt64) {
        state.withLock { state in
            let left = (state.references[node] ?? 0) - count
            state.references[node] = left == 0 ? nil : left
        }
    }

    func attributes(of node: NodeID, file: (any OpenFile)?) throws(Errno) -> AttributeAnswer {
        if node == .root {
            let root = Attributes(
                inode: 1,
                kind: .directory,
                permissions: 0o755,
                owner: 0,
                group: 0,
                modified: Timestamp(seconds: 0)
            )
            return AttributeAnswer(root, validity: 0)
        }
        return AttributeAnswer(try find(node).attributes, validity: 3600)
    }

    func change(
        _ changes: AttributeChanges,
        of node: NodeID,
        file: (any OpenFile)?,
        caller: Caller
    ) throws(Errno) -> AttributeAnswer {
        let found = try find(node)
        var words = ["change"]
        if let size = changes.size { words.append("size=\(size)") }
        if let mode = changes.permissions { words.append("mode=\(mode)") }
        if let owner = changes.owner { words.append("owner=\(owner)") }
        if let group = changes.group { words.append("group=\(group)") }
        if changes.times { words.append("times") }
        words.append(file == nil ? "by name" : "by file")
        note(words.joined(separator: " "))
        return AttributeAnswer(found.attributes, validity: 3600)
    }

    func linkTarget(of node: NodeID) throws(Errno) -> [UInt8] {
        Array(try find(node).content.withLock { $0 })
    }

    func open(_ node: NodeID, mode: OpenMode, caller: Caller) throws(Errno) -> OpenedFile {
        let found = try find(node)
        note("open r=\(mode.reads) w=\(mode.writes) s=\(mode.isSynchronous) uid=\(caller.user)")
        return OpenedFile(MemoryFile(found, tree: self), caching: found.caching)
    }

    func list(_ directory: NodeID) throws(Errno) -> any OpenDirectory {
        state.withLock { state in
            ListedDirectory(
                state.names.values.map { DirectoryEntry(name: $0.name, inode: $0.inode, kind: $0.kind) }
            )
        }
    }

    func statistics(of node: NodeID) -> FileSystemStatistics {
        FileSystemStatistics(totalBytes: 10 << 20, nodes: 7)
    }

    func extendedAttributes(of node: NodeID) throws(Errno) -> [[UInt8]] {
        ["user.one", "user.more"].map { Array($0.utf8) }
    }

    func extendedAttribute(_ name: [UInt8], of node: NodeID) throws(Errno) -> [UInt8] {
        switch String(decoding: name, as: UTF8.self) {
        case "user.one": [1]
        case "user.more": Array(repeating: 7, count: 1000)
        case let name where name.hasPrefix("user."): throw .noData
        default: throw .notSupported
        }
    }

    private func find(_ node: NodeID) throws(Errno) -> MemoryNode {
        guard let found = state.withLock({ $0.nodes[node] }) else { throw .staleNFSFileHandle }
        return found
    }
}

/// An object of the tree, and how it behaves.
final class MemoryNode: Sendable {
    let name: String
    let inode: UInt64
    let kind: NodeKind
    let content: Locked<[UInt8]>
    let caching: OpenedFile.Caching
    let isSlow: Bool
    let isFreshAtEachLookup: Bool
    /// Runs at the start of each read, write, flush, synchronize.
    let onRead: @Sendable () throws(Errno) -> Void
    let onWrite: @Sendable (Interruption) throws(Errno) -> Void
    let onSynchronize: @Sendable () throws(Errno) -> Void
    let onRelease: @Sendable () -> Void

    init(
        _ name: String,
        inode: UInt64,
        kind: NodeKind = .regular,
        content: [UInt8] = [],
        caching: OpenedFile.Caching = .keep,
        isSlow: Bool = false,
        isFreshAtEachLookup: Bool = false,
        onRead: @escaping @Sendable () throws(Errno) -> Void = { () throws(Errno) in },
        onWrite: @escaping @Sendable (Interruption) throws(Errno) -> Void = { (_) throws(Errno) in },
        onSynchronize: @escaping @Sendable () throws(Errno) -> Void = { () throws(Errno) in },
        onRelease: @escaping @Sendable () -> Void = {}
    ) {
        self.name = name
        self.inode = inode
        self.kind = kind
        self.content = Locked(content)
        self.caching = caching
        self.isSlow = isSlow
        self.isFreshAtEachLookup = isFreshAtEachLookup
        self.onRead = onRead
        self.onWrite = onWrite
        self.onSynchronize = onSynchronize
        self.onRelease = onRelease
    }

    var attributes: Attributes {
        let size = UInt64(content.withLock { $0.count })
        return Attributes(
            inode: inode,
            kind: kind,
            permissions: 0o640,
            linkCount: 3,
            owner: 12,
            group: 34,
            size: size,
            allocatedBytes: 1025,
            modified: Timestamp(seconds: 1_234_567, nanoseconds: 89)
        )
    }
}

/// A node that is open.
final class MemoryFile: OpenFile {
    private let node: MemoryNode
    private let tree: MemoryTree
    let isSlow: Bool

    init(_ node: MemoryNode, tree: MemoryTree) {
        self.node = node
        self.tree = tree
        isSlow = node.isSlow
    }

    deinit {
        tree.note("gone")
    }

    func read(into buffer: inout MutableRawSpan, at offset: UInt64, caller: Caller) throws(Errno) -> Int {
        tree.note("read")
        try node.onRead()
        let start = Int(offset)
        let bytes = node.content.withLock { $0.dropFirst(start).prefix(buffer.byteCount) }
        unsafe buffer.withUnsafeMutableBytes { unsafe $0.copyBytes(from: bytes) }
        return bytes.count
    }

    func write(
        _ bytes: RawSpan,
        at offset: UInt64,
        origin: WriteOrigin,
        caller: Caller,
        interruption: Interruption
    ) throws(Errno) -> Int {
        try node.onWrite(interruption)
        let array = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
        node.content.withLock { content in
            let start = Int(offset)
            let room = max(0, content.count - start)
            if room > 0 { content.replaceSubrange(start..<start + min(room, array.count), with: array.prefix(room)) }
        }
        return array.count
    }

    func synchronize() throws(Errno) {
        tree.note("synchronize")
        try node.onSynchronize()
    }

    func flush() throws(Errno) { tree.note("flush") }

    func release() {
        tree.note("release")
        node.onRelease()
    }

    func seek(_ what: SeekTarget, from offset: UInt64) throws(Errno) -> UInt64 {
        guard offset < UInt64(node.content.withLock { $0.count }) else { throw .noSuchAddressOrDevice }
        return offset + (what == .data ? 1000 : 2000)
    }

    func allocate(_ request: AllocationRequest, at offset: UInt64, count: UInt64) throws(Errno) {
        tree.note("\(request) \(offset) \(count)")
    }
}
