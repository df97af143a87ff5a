internal import Glibc

/// The index of the first byte in which two arrays differ, their lengths included; nil if they are equal.
///
/// (`==` on arrays takes seconds for a disk in a debug build.)
public func differingIndex(_ a: [UInt8], _ b: [UInt8]) -> Int? {
    let count = min(a.count, b.count)
    let equal = unsafe a.withUnsafeBytes { a in
        unsafe b.withUnsafeBytes { b in
            guard count > 0, let a = a.baseAddress, let b = b.baseAddress else { return true }
            return unsafe memcmp(a, b, count) == 0
        }
    }
    guard equal else { return (0..<count).first { a[$0] != b[$0] } }
    return a.count == b.count ? nil : count
}
