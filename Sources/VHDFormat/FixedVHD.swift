internal import BlockDevice
internal import Platform

/// A fixed disk: its bytes one after the other, and a footer that no reader sees.
final class FixedVHD: VHDLayer {
    let facts: VHDFacts
    let size: UInt64
    var file: FailStopFile { data.file }

    private let data: FlatImage
    /// What is still to be done before the first write: rewriting a 511-byte footer.
    private let pendingRepair: Locked<UInt64?>

    init(_ file: any HostFile, _ choice: FooterChoice, _ options: VHDOpenOptions) throws(DiskError) {
        let footer = choice.footer
        size = footer.currentSize & ~511
        let stored = choice.tailOffset ?? 0
        guard stored >= footer.currentSize else {
            throw DiskError(
                .truncated,
                "the disk has \(footer.currentSize) bytes, the file only \(stored) in front of the footer; "
                    + "it was cut short or not copied completely",
                path: file.path
            )
        }
        var warnings = choice.warnings
        if stored > footer.currentSize {
            warnings.append(
                "the file holds \(stored - footer.currentSize) bytes between the end of the disk and the footer"
            )
        }
        facts = VHDFacts(footer: footer, blockSize: 0, parent: nil, warnings: warnings)
        data = FlatImage(file, size: size, storedBytes: size)
        pendingRepair = Locked(choice.tailIsShort ? choice.tailOffset : nil)
    }

    func extent(at offset: UInt64, limit: UInt64) -> Extent {
        data.extent(at: offset, limit: limit)
    }

    func write(_ bytes: RawSpan, at offset: UInt64, below: any LowerDisk) throws(DiskError) {
        try repair()
        try data.write(bytes, at: offset, below: below)
    }

    func zero(_ range: Range<UInt64>, below: any LowerDisk) throws(DiskError) {
        try repair()
        try data.zero(range, below: below)
    }

    func synchronize() throws(DiskError) {
        try data.synchronize()
    }

    func finish() throws(DiskError) {
        try data.finish()
    }

    private func repair() throws(DiskError) {
        try pendingRepair.withLock { (offset) throws(DiskError) in
            guard let place = offset else { return }
            try data.file.write(facts.footer.bytes, at: place)
            try data.file.synchronize()
            offset = nil
        }
    }
}
