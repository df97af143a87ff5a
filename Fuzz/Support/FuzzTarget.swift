internal import BlockDevice
internal import ByteIO
internal import TestSupport

/// A format as a fuzzer sees it: everything that is done with one input, and the promises that must hold.
///
/// * Opening gives a disk, or an error about the content; so does a check, and the two agree.
/// * Of a disk that has been opened every byte can be read, twice the same, and no byte behind its end.
/// * What the plain reader of the tests accepts can be opened, and shows the same bytes.
/// * None of that changes the file.
/// * What is written is read again, also after closing and opening, and nothing else of the disk changes; what was sound stays sound.
public struct FuzzTarget: FuzzedDisk {
    /// The name of the program and of the folder of kept inputs.
    public let name: String
    /// Bit of the options: the disk is written to as well.
    public static let writes: UInt8 = 0x80

    let mend: @Sendable (inout SparseBytes, UInt8) -> Void
    let open: @Sendable (any HostFile, Bool) throws(DiskError) -> any WritableImageLayer
    let check: @Sendable (any HostFile) throws(DiskError) -> CheckReport
    /// What the plain reader of the tests shows; nil when it refuses the file. It is stricter than the provider.
    let judge: @Sendable (SparseBytes) -> SparseBytes?
    /// Sound images of all kinds, to begin with.
    public let seeds: @Sendable () -> [FuzzInput]

    /// Runs one input.
    public func run(_ bytes: [UInt8]) throws(FuzzFailure) {
        var input = FuzzInput(bytes)
        mend(&input.content, input.options)
        let recorded = RecordingFile(input.content)
        let opened = Result { () throws(DiskError) in try open(recorded, false) }
        let isSound = try compare(opened, with: recorded)
        let judged = judge(input.content)
        guard case .success(let layer) = opened else {
            // Limits are the provider's own.
            guard case .failure(let error) = opened, error.kind.isDamage else { return }
            return try FuzzFailure.unless(judged == nil, "it can't be opened (\(error)), and another reader takes it")
        }
        let probe = DiskProbe(Chain(leaf: layer, isReadOnly: true), layer, bytes)
        let shown = try probe.readEverything()
        for piece in shown {
            let range = piece.offset..<piece.offset + UInt64(piece.bytes.count)
            try FuzzFailure.unless(
                judged.map { $0[range] == piece.bytes } ?? true,
                "another reader shows something else at \(range)"
            )
        }
        try FuzzFailure.unless(recorded.operationCount == 0, "opening, checking or reading has changed the file")
        if input.options & Self.writes != 0 { try write(input.content, probe, shown, isSound) }
    }

    /// Compares what opening and the check say; returns whether the check has found no damage.
    private func compare(
        _ opened: Result<any WritableImageLayer, DiskError>,
        with file: RecordingFile
    ) throws(FuzzFailure) -> Bool {
        let report = Result { () throws(DiskError) in try check(file) }
        if case .failure(let error) = report {
            try FuzzFailure.unless(error.kind.isAboutContent, "the check fails with \(error.kind): \(error)")
        }
        switch (opened, report) {
        case (.failure(let error), .success(let report)):
            try FuzzFailure.unless(error.kind.isAboutContent, "opening fails with \(error.kind): \(error)")
            try FuzzFailure.unless(
                report.count(.damaged) > 0 || !error.kind.isDamage,
                "it can't be opened (\(error.kind): \(error)), and the check says: \(report.lines)"
            )
        case (.failure(let error), .failure):
            try FuzzFailure.unless(error.kind.isAboutContent, "opening fails with \(error.kind): \(error)")
        case (.success, .failure(let error)):
            try FuzzFailure.unless(error.kind == .limit, "it can be opened, and not checked: \(error)")
        case (.success, .success(let report)): return report.count(.damaged) == 0
        }
        return false
    }

    // MARK: Writing

    private func write(
        _ content: SparseBytes,
        _ probe: DiskProbe,
        _ shown: [DiskProbe.Piece],
        _ isSound: Bool
    ) throws(FuzzFailure) {
        let file = MemoryFile(content)
        let layer: any WritableImageLayer
        do {
            layer = try open(file, true)
        } catch {
            try FuzzFailure.unless(error.kind.isAboutContent, "opening for writing fails with \(error.kind): \(error)")
            return
        }
        let (written, zeroed) = (probe.pieceToWrite, probe.pieceToZero)
        let disk = Chain(leaf: layer, isReadOnly: false)
        do throws(DiskError) {
            try written.bytes.withBytes { (bytes) throws(DiskError) in try disk.write(bytes, at: written.offset) }
            try disk.synchronize()
            try disk.zero(zeroed.offset..<zeroed.offset + UInt64(zeroed.bytes.count))
        } catch {
            try FuzzFailure.unless(
                [.noSpace, .limit].contains(error.kind) || error.kind.isAboutContent,
                "writing fails with \(error.kind): \(error)"
            )
            return
        }
        let expected =
            shown.map { $0.overwritten(by: written).overwritten(by: zeroed) }
            + [written.overwritten(by: zeroed), zeroed]
        try DiskProbe.expect(expected, on: disk, "after writing")
        let again: any WritableImageLayer
        do throws(DiskError) {
            try disk.finish()
            disk.close()
            again = try open(file, false)
        } catch {
            throw FuzzFailure("after writing it can't be finished and opened again: \(error)")
        }
        try DiskProbe.expect(expected, on: Chain(leaf: again, isReadOnly: true), "after opening it again")
        guard isSound else { return }
        let report = Result { () throws(DiskError) in try check(file) }
        guard case .success(let report) = report, report.count(.damaged) == 0 else {
            throw FuzzFailure("after writing the check says: \(report)")
        }
    }
}
