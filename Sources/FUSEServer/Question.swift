internal import CFuse
internal import FileSystem
internal import Synchronization

/// Which request a worker is at, as far as others need to know.
struct Question: Equatable {
    /// The kernel's number for it.
    var number: UInt64
    /// The kernel's number for what is asked (`fuse_opcode`).
    var operation: UInt32
    var node: NodeID
    /// The thread that asks.
    var caller: Int32

    init(_ header: fuse_in_header) {
        number = header.unique
        operation = header.opcode
        node = NodeID(rawValue: header.nodeid)
        caller = Int32(bitPattern: header.pid)
    }

    fileprivate init(number: UInt64, operation: UInt32, node: NodeID, caller: Int32) {
        self.number = number
        self.operation = operation
        self.node = node
        self.caller = caller
    }

    var isRead: Bool { operation == FUSE_READ.rawValue }

    /// Whether it changes bytes of a disk.
    var changes: Bool {
        [FUSE_WRITE.rawValue, FUSE_FALLOCATE.rawValue, FUSE_SETATTR.rawValue].contains(operation)
    }

    /// Whether somebody waits for its answer.
    var hasAnswer: Bool {
        let without = [FUSE_FORGET.rawValue, FUSE_BATCH_FORGET.rawValue, FUSE_INTERRUPT.rawValue]
        return !without.contains(operation)
    }
}

/// A question that one thread writes and others read.
struct SharedQuestion: ~Copyable {
    private let number = Atomic<UInt64>(0)
    private let operation = Atomic<UInt32>(0)
    private let node = Atomic<UInt64>(0)
    private let caller = Atomic<Int32>(0)

    // In this order with the count of steps: who reads a new part sees that the old request is over.
    func store(_ header: fuse_in_header) {
        number.store(header.unique, ordering: .releasing)
        operation.store(header.opcode, ordering: .releasing)
        node.store(header.nodeid, ordering: .releasing)
        caller.store(Int32(bitPattern: header.pid), ordering: .releasing)
    }

    /// It may be a mixture of two, unless the reader knows that nothing was stored meanwhile.
    func load() -> Question {
        Question(
            number: number.load(ordering: .acquiring),
            operation: operation.load(ordering: .acquiring),
            node: NodeID(rawValue: node.load(ordering: .acquiring)),
            caller: caller.load(ordering: .acquiring)
        )
    }
}
