internal import Glibc
public import SystemPackage

extension FilePath {
    /// Reads a whole file; also those of `/proc`, which have no size.
    ///
    /// - Parameter limit: the most bytes that it may have.
    /// - Throws: `EFBIG` when it has more.
    public func contents(limit: Int) throws(Errno) -> [UInt8] {
        try Descriptor(opening: self, flags: O_RDONLY | O_NONBLOCK).contents(limit: limit)
    }
}

extension Descriptor {
    /// Reads a whole file, as `FilePath.contents` does.
    func contents(limit: Int) throws(Errno) -> [UInt8] {
        var contents: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            var span = chunk.mutableSpan
            var memory = unsafe span.mutableBytes
            let found = try read(into: &memory, at: UInt64(contents.count))
            contents += chunk.prefix(found)
            if contents.count > limit { throw .fileTooLarge }
            if found < chunk.count { return contents }
        }
    }
}
