/// Decodes UTF-16 from a file: cut at the first NUL, an odd last byte dropped, lone surrogates replaced by U+FFFD.
public func decodeUTF16(_ bytes: some Collection<UInt8>, _ order: ByteOrder) -> String {
    var units: [UInt16] = []
    var iterator = bytes.makeIterator()
    while let first = iterator.next(), let second = iterator.next() {
        let unit = order == .big ? UInt16(first) << 8 | UInt16(second) : UInt16(second) << 8 | UInt16(first)
        if unit == 0 { break }
        units.append(unit)
    }
    return String(decoding: units, as: UTF16.self)
}

/// Encodes text as UTF-16 without a terminator.
public func encodeUTF16(_ text: String, _ order: ByteOrder) -> [UInt8] {
    text.utf16.flatMap { unit in
        order == .big
            ? [UInt8(unit >> 8), UInt8(truncatingIfNeeded: unit)]
            : [UInt8(truncatingIfNeeded: unit), UInt8(unit >> 8)]
    }
}
