internal import FileSystem

/// What the kernel remembers of our tree.
///
/// That the kernel doesn't know a node or a name any more is no error: then there was nothing to forget.
final class SessionCache: KernelCache {
    private let connection: Connection
    private let agreement: Agreement

    init(_ connection: Connection, _ agreement: Agreement) {
        self.connection = connection
        self.agreement = agreement
    }

    func invalidate(_ node: NodeID, range: Range<UInt64>?) {
        guard let range else {
            connection.invalidatePages(of: node, offset: 0, count: 0)
            return
        }
        // No file is longer than Int64 can tell, so nothing lies behind it.
        guard !range.isEmpty, let offset = Int64(exactly: range.lowerBound) else {
            connection.invalidatePages(of: node, offset: -1, count: 0)
            return
        }
        let end = Int64(exactly: range.upperBound) ?? .max
        connection.invalidatePages(of: node, offset: offset, count: end - offset)
    }

    func invalidate(name: String, in directory: NodeID) {
        connection.invalidate(name: name, in: directory)
    }

    var canWritePastPages: Bool { agreement.writesPastPages }

    func lend(_ descriptor: Int32) -> LentFile? {
        guard agreement.hasPassthrough else { return nil }
        return connection.lend(descriptor).map { LentFile(rawValue: $0) }
    }

    func takeBack(_ file: LentFile) {
        connection.takeBack(file.rawValue)
    }
}
