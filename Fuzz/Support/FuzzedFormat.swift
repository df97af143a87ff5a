/// What a fuzzer runs: something with inputs to begin with, and promises to keep.
public protocol FuzzedFormat: Sendable {
    /// The name of the program and of the folder of kept inputs.
    var name: String { get }
    /// Sound inputs of all kinds, to begin with.
    var inputs: [[UInt8]] { get }
    /// Words that mean something in an input; printable ASCII. A fuzzer would have to guess them letter by letter.
    var words: [String] { get }
    /// Runs one input.
    func run(_ bytes: [UInt8]) throws(FuzzFailure)
}

extension FuzzedFormat {
    /// Formats of numbers have none.
    public var words: [String] { [] }
}

/// A format whose inputs describe a disk or a file (`FuzzInput`).
public protocol FuzzedDisk: FuzzedFormat {
    /// Sound inputs of all kinds, to begin with.
    var seeds: @Sendable () -> [FuzzInput] { get }
}

extension FuzzedDisk {
    /// The descriptions of the seeds.
    public var inputs: [[UInt8]] { seeds().map(\.bytes) }
}

/// Everything that is fuzzed.
public enum FuzzedFormats {
    /// All of it.
    public static var all: [any FuzzedFormat] {
        FuzzTarget.all + [VolumeTarget.iso9660, VolumeTarget.udf, VolumeTarget.partitions]
            + [ControlTarget(), SDDLTarget(), ProtocolTarget(), LogTarget()]
    }
}
