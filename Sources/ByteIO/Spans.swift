extension Array<UInt8> {
    /// Lends the array's bytes for writing, as raw memory.
    @inlinable
    public mutating func withMutableBytes<R, E: Error>(
        _ body: (inout MutableRawSpan) throws(E) -> R
    ) throws(E) -> R {
        var span = mutableSpan
        var bytes = unsafe span.mutableBytes
        return try body(&bytes)
    }

    /// Lends the array's bytes for reading, as raw memory.
    @inlinable
    public func withBytes<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
        let span = self.span
        let bytes = unsafe span.bytes
        return try body(bytes)
    }
}

extension MutableRawSpan {
    /// Lends a part of the memory. The caller has made sure that it lies inside.
    @inlinable
    public mutating func withPart<R, E: Error>(
        _ range: Range<Int>,
        _ body: (inout MutableRawSpan) throws(E) -> R
    ) throws(E) -> R {
        var part = _mutatingExtracting(range)
        return try body(&part)
    }

    /// Sets a part to zeros. The caller has made sure that it lies inside.
    @inlinable
    public mutating func fillZero(_ range: Range<Int>) {
        var part = _mutatingExtracting(range)
        unsafe part.withUnsafeMutableBytes { memory in
            guard let base = memory.baseAddress else { return }
            unsafe base.initializeMemory(as: UInt8.self, repeating: 0, count: memory.count)
        }
    }

    /// Copies all of `source` to `offset`. The caller has made sure that it fits.
    @inlinable
    public mutating func copy(_ source: RawSpan, to offset: Int) {
        var part = _mutatingExtracting(offset..<offset + source.byteCount)
        unsafe part.withUnsafeMutableBytes { memory in
            unsafe source.withUnsafeBytes { unsafe memory.copyMemory(from: $0) }
        }
    }
}

extension RawSpan {
    /// A copy of the bytes.
    public var copied: [UInt8] {
        unsafe withUnsafeBytes { unsafe Array($0) }
    }

    /// Whether every byte is zero. Stops at the first that isn't.
    @inlinable
    public var isAllZero: Bool {
        unsafe withUnsafeBytes { bytes in
            let words = bytes.count / 8
            for i in 0..<words where unsafe bytes.loadUnaligned(fromByteOffset: i * 8, as: UInt64.self) != 0 {
                return false
            }
            for i in words * 8..<bytes.count where unsafe bytes[i] != 0 {
                return false
            }
            return true
        }
    }

    /// Calls `body` with each whole big-endian 32-bit integer, in order.
    @inlinable
    public func forEachBigEndian32<E: Error>(_ body: (UInt32) throws(E) -> Void) throws(E) {
        for i in 0..<byteCount / 4 {
            try body(UInt32(bigEndian: unsafe unsafeLoadUnaligned(fromByteOffset: i * 4, as: UInt32.self)))
        }
    }
}

extension RawSpan {
    /// Calls `body` with the index and value of each whole little-endian 64-bit integer that is not zero, in order.
    @inlinable
    public func forEachNonzeroLittleEndian64<E: Error>(_ body: (Int, UInt64) throws(E) -> Void) throws(E) {
        for i in 0..<byteCount / 8 {
            let value = UInt64(littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: i * 8, as: UInt64.self))
            if value != 0 { try body(i, value) }
        }
    }
}
