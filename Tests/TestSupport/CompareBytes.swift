internal import Glibc

/// Whether two arrays are equal. (`==` on arrays takes seconds for a disk in a debug build.)
public func equalBytes(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    guard a.count == b.count else { return false }
    return unsafe a.withUnsafeBytes { a in
        unsafe b.withUnsafeBytes { b in
            guard let first = a.baseAddress, let second = b.baseAddress else { return true }
            return unsafe memcmp(first, second, a.count) == 0
        }
    }
}

/// The index of the first byte in which two arrays differ, their lengths included; nil if they are equal.
public func differingIndex(_ a: [UInt8], _ b: [UInt8]) -> Int? {
    if equalBytes(a, b) { return nil }
    let count = min(a.count, b.count)
    return (0..<count).first { a[$0] != b[$0] } ?? count
}
