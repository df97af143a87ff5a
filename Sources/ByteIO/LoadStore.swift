/// An access outside of a buffer: a structure of a file is shorter than its own fields say.
public struct OutOfBounds: Error, Hashable {
    /// Where the access began, in bytes from the buffer's start.
    public let offset: Int
    /// How many bytes it wanted.
    public let count: Int

    /// Tells of an access.
    public init(offset: Int, count: Int) {
        self.offset = offset
        self.count = count
    }
}

/// Byte orders of on-disk integers.
public enum ByteOrder: Sendable {
    case big
    case little
}

extension Array<UInt8> {
    /// Loads an integer; throws `OutOfBounds` instead of trapping.
    @inlinable
    public func load<T: FixedWidthInteger>(
        _ type: T.Type = T.self,
        at offset: Int,
        _ order: ByteOrder
    ) throws(OutOfBounds) -> T {
        let count = MemoryLayout<T>.size
        guard offset >= 0, count <= self.count, offset <= self.count - count else {
            throw OutOfBounds(offset: offset, count: count)
        }
        var value: T = 0
        switch order {
        case .big: for i in 0..<count { value = value << 8 | T(truncatingIfNeeded: self[offset + i]) }
        case .little: for i in (0..<count).reversed() { value = value << 8 | T(truncatingIfNeeded: self[offset + i]) }
        }
        return value
    }

    /// Copies a part; throws `OutOfBounds` instead of trapping.
    public func bytes(at offset: Int, count: Int) throws(OutOfBounds) -> [UInt8] {
        guard offset >= 0, count >= 0, count <= self.count, offset <= self.count - count else {
            throw OutOfBounds(offset: offset, count: count)
        }
        return Array(self[offset..<offset + count])
    }

    /// Stores an integer. The caller owns the buffer and its size: out of range is a programming error.
    @inlinable
    public mutating func store<T: FixedWidthInteger>(_ value: T, at offset: Int, _ order: ByteOrder) {
        let count = MemoryLayout<T>.size
        for i in 0..<count {
            let shift = 8 * (order == .big ? count - 1 - i : i)
            self[offset + i] = UInt8(truncatingIfNeeded: value >> T(shift))
        }
    }

    /// Replaces the bytes from `offset` on. The caller owns the buffer and its size.
    public mutating func store(_ bytes: some Collection<UInt8>, at offset: Int) {
        replaceSubrange(offset..<offset + bytes.count, with: bytes)
    }
}
