internal import Glibc

/// Random numbers that come again for the same seed (SplitMix64), so that a failure can be repeated.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Starts the row of a seed.
    public init(seed: UInt64) {
        state = seed
    }

    /// The next number.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }

    /// Random bytes, none of them zero: what was not written can't look as if it were.
    public mutating func bytes(_ count: Int) -> [UInt8] {
        let words = (0..<(count + 7) / 8).map { _ in next() | 0x0101_0101_0101_0101 }
        return unsafe words.withUnsafeBytes { unsafe [UInt8]($0[..<count]) }
    }

    /// A random part of `0..<size`, of `longest` bytes at most, never empty, and aligned more often than chance would.
    public mutating func range(in size: UInt64, longest: UInt64) -> Range<UInt64> {
        let unit: UInt64 = [1, 1, 512, 512, 4096].randomElement(using: &self) ?? 1
        let start = UInt64.random(in: 0..<size, using: &self) / unit * unit
        let length = UInt64.random(in: 1...max(1, min(longest, size - start)), using: &self)
        let end = min(size, start + max(1, length / unit) * unit)
        return start..<end
    }
}

extension SeededGenerator {
    /// The seeds of a property test: the first `count`, or as many as `VHDFS_TEST_SEEDS` asks for in a long run.
    public static func seeds(_ count: UInt64) -> ClosedRange<UInt64> {
        let asked = unsafe getenv("VHDFS_TEST_SEEDS").flatMap { unsafe UInt64(String(cString: $0)) }
        return 1...max(1, asked ?? count)
    }
}
