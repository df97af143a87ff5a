internal import BlockDevice
internal import ByteIO
internal import TestSupport
internal import VHDXFormat

/// The log of a VHDX by itself. An input says which entries it has (`LogScript`); what it would take a fuzzer years to guess, their
/// checksums, is right.
///
/// * The same log is active as to a plain reader, and leaves the same file, before and after it is brought into it.
/// * What is read to find that out is bounded by the length of the log.
/// * None of that changes the file before.
public struct LogTarget: FuzzedFormat {
    public let name = "vhdxlog"

    /// An image of which only headers and log are looked at; the log has a MiB.
    private static let image = {
        var builder = VHDXBuilder(.dynamic, size: 9 << 20)
        builder.logGUID = (0x40...0x4F).map { $0 }
        return (builder, builder.build())
    }()

    public func run(_ bytes: [UInt8]) throws(FuzzFailure) {
        var (builder, built) = Self.image
        var script = LogScript(bytes)
        builder.logEntries = script.entries()
        builder.putLog(into: &built)
        let content = built.content
        let recorded = RecordingFile(content)
        let counted = CountingFile(recorded)
        let replayed = Result { () throws(DiskError) in try ReplayedLog(of: counted) }
        let limit = UInt64(builder.logLength) * 5 + 65536
        try FuzzFailure.unless(counted.readBytes <= limit, "\(counted.readBytes) bytes were read, at most \(limit)")

        // The plain reader knows no limits, and would go to them.
        if case .failure(let error) = replayed, error.kind == .limit { return }
        // Nor does any rule say which of two sequences counts that end with the same number.
        if (try? ReferenceVHDX.hasTie(content)) == true { return }
        let reference = Result { try ReferenceVHDX.replayed(content) }
        switch (replayed, reference) {
        case (.failure(let error), let reference):
            try FuzzFailure.unless(error.kind.isAboutContent, "it is refused with \(error.kind): \(error)")
            try FuzzFailure.unless(
                (try? reference.get()) == nil,
                "it is refused, and another reader replays it: \(error)"
            )
        case (.success, .failure(let error)):
            throw FuzzFailure("it is replayed, and another reader refuses it: \(error)")
        case (.success(let log), .success(let reference)):
            try FuzzFailure.unless(
                log.entryCount == reference.entries,
                "\(log.entryCount) entries are active, not \(reference.entries)"
            )
            try compare(log.file, with: reference.content, content, "laid over")
            try FuzzFailure.unless(recorded.operationCount == 0, "reading has changed the file")
            do {
                try log.apply()
            } catch {
                throw FuzzFailure("it can't be brought into the file: \(error)")
            }
            try compare(recorded, with: reference.content, content, "brought in")
        }
    }

    /// Compares all that is stored in the one or was in the other.
    private func compare(
        _ file: any HostFile,
        with expected: SparseBytes,
        _ before: SparseBytes,
        _ when: String
    ) throws(FuzzFailure) {
        var places: Set<UInt64> = []
        for content in [expected, before] { content.forEachStoredPage { offset, _ in places.insert(offset) } }
        do throws(DiskError) {
            let size = try file.size()
            guard size == expected.count else {
                throw DiskError(.io, "\(when) it has \(size) bytes, not \(expected.count)")
            }
            for place in places {
                let count = min(4096, size - place)
                guard try file.readBytes("page", at: place, count: Int(count)) == expected[place..<place + count] else {
                    throw DiskError(.io, "\(when) the page at \(place) is another")
                }
            }
        } catch {
            throw FuzzFailure("\(error)")
        }
    }

    public var inputs: [[UInt8]] {
        // One entry; two and a third that is torn; around the end; a tail in front; a gap; a longer file; zeros; many descriptors.
        let simple: [[UInt8]] = [
            [0, 0, 2, 0, 200, 7, 8, 201, 3], [3, 0, 1, 1, 44, 9, 0, 1, 1, 45, 9, 0x80, 1, 1, 1, 45, 9],
            [254, 0, 2, 0, 90, 1, 0, 91, 2, 0, 1, 0, 90, 3], [5, 0, 0, 2, 5, 1, 0, 60, 7, 2, 5, 1, 8, 60, 2],
            [9, 0, 1, 0, 70, 1, 4, 9, 0, 1, 0, 70, 2], [1, 0x18, 0, 32, 0, 0, 80, 0, 1, 9, 200, 3],
            [7, 1, 7, 1, 0, 80, 5, 4, 1, 1, 1, 0, 80, 6], [30, 0, 0xFF] + (0..<200).map { UInt8($0) },
            [11, 0x40, 0, 64, 0, 1, 2, 1, 0, 80, 5], [12, 0x20, 1, 0, 80, 5, 0, 1, 1, 90, 6],
        ]
        var random = SeededGenerator(seed: 7)
        return simple + (0..<24).map { _ in random.bytes(40).map { $0 & 0x9F } }
    }
}
