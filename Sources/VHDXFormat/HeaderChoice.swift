internal import BlockDevice
internal import ByteIO

/// Which of the two headers counts (formats.md §3.2). No field of the other one is ever used.
struct HeaderChoice: Sendable {
    /// The header that counts.
    let header: Header
    /// Its place: 0 or 1.
    let slot: Int
    /// What a user should know.
    private(set) var warnings: [String] = []

    init(in file: any HostFile) throws(DiskError) {
        let fileSize = try file.size()
        var found: [Header?] = []
        for offset in Header.offsets {
            let isThere = fileSize >= offset + UInt64(Header.byteCount)
            found.append(isThere ? Header(try file.readBytes("header", at: offset, count: Header.byteCount)) : nil)
        }
        switch (found[0], found[1]) {
        case (let first?, let second?):
            guard first.sequenceNumber != second.sequenceNumber || first.meaning == second.meaning else {
                throw DiskError(
                    .fileCorrupt,
                    "headers: both at offsets 65536 and 131072 have the sequence number \(first.sequenceNumber) but differ; "
                        + "nothing tells which one counts",
                    path: file.path
                )
            }
            slot = second.sequenceNumber > first.sequenceNumber ? 1 : 0
            header = slot == 1 ? second : first
        case (let only?, nil), (nil, let only?):
            slot = found[0] == nil ? 1 : 0
            header = only
            warnings.append(
                "header \(2 - slot) at offset \(Header.offsets[1 - slot]) is damaged; the other one is used"
            )
        case (nil, nil):
            throw DiskError(
                .fileCorrupt,
                "headers: neither at offset 65536 nor at 131072 is one with the signature 'head' and a good checksum",
                path: file.path
            )
        }
        guard header.version == 1 else {
            throw DiskError(
                .unsupportedVersion,
                "header at offset \(Header.offsets[slot]): version is \(header.version), expected 1",
                path: file.path
            )
        }
    }
}
