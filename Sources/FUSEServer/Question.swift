internal import CFuse
internal import FileSystem
internal import Synchronization

/// Which request a worker is at, as far as others need to know.
struct Question {
    /// The kernel's number for it.
    var number: UInt64
    /// The kernel's number for what is asked (`fuse_opcode`).
    var operation: UInt32
    var node: NodeID
    /// The thread that asks.
    var caller: Int32
    /// What stands first behind the header. Where it is about an open file, one of the two is that file's number.
    var words: (UInt64, UInt64)

    /// Reads the beginning of a request; nil when it is too short for one.
    init?(_ bytes: UnsafeRawBufferPointer) {
        let size = MemoryLayout<fuse_in_header>.size
        guard bytes.count >= size else { return nil }
        let header = unsafe bytes.loadUnaligned(as: fuse_in_header.self)
        number = header.unique
        operation = header.opcode
        node = NodeID(rawValue: header.nodeid)
        caller = Int32(bitPattern: header.pid)
        func word(_ index: Int) -> UInt64 {
            let offset = size + 8 * index
            return bytes.count >= offset + 8 ? unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) : 0
        }
        words = (word(0), word(1))
    }

    fileprivate init(number: UInt64, operation: UInt32, node: NodeID, caller: Int32, words: (UInt64, UInt64)) {
        self.number = number
        self.operation = operation
        self.node = node
        self.caller = caller
        self.words = words
    }

    var isRead: Bool { operation == FUSE_READ.rawValue }

    /// The request that this one interrupts, if it is an INTERRUPT.
    var interrupted: UInt64? { operation == FUSE_INTERRUPT.rawValue ? words.0 : nil }

    /// Whether it changes bytes of a disk.
    var changes: Bool {
        [FUSE_WRITE.rawValue, FUSE_FALLOCATE.rawValue, FUSE_SETATTR.rawValue].contains(operation)
    }

    /// Whether it may have to wait until much is stored.
    var mayBeLong: Bool {
        changes || [FUSE_FSYNC.rawValue, FUSE_FLUSH.rawValue, FUSE_RELEASE.rawValue].contains(operation)
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
    private let first = Atomic<UInt64>(0)
    private let second = Atomic<UInt64>(0)

    // In this order with the count of steps: who reads a new part sees that the old request is over.
    func store(_ question: Question) {
        number.store(question.number, ordering: .releasing)
        operation.store(question.operation, ordering: .releasing)
        node.store(question.node.rawValue, ordering: .releasing)
        caller.store(question.caller, ordering: .releasing)
        first.store(question.words.0, ordering: .releasing)
        second.store(question.words.1, ordering: .releasing)
    }

    /// It may be a mixture of two, unless the reader knows that nothing was stored meanwhile.
    func load() -> Question {
        Question(
            number: number.load(ordering: .acquiring),
            operation: operation.load(ordering: .acquiring),
            node: NodeID(rawValue: node.load(ordering: .acquiring)),
            caller: caller.load(ordering: .acquiring),
            words: (first.load(ordering: .acquiring), second.load(ordering: .acquiring))
        )
    }
}
