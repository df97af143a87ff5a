internal import BlockDevice
internal import ByteIO

/// Where the log is, as the header says (formats.md §3.2, §6.2).
struct LogPlace: Sendable {
    /// The unit of everything in the log.
    static let sectorSize: UInt64 = 4096
    private static let lengthLimit: UInt64 = 1 << 30

    /// Its bytes in the file.
    let range: Range<UInt64>

    var length: UInt64 { range.upperBound - range.lowerBound }

    /// Nil when the log is empty and what the header says of its place makes no sense: good enough for reading.
    init?(_ header: Header, fileSize: UInt64, path: String, isWritable: Bool) throws(DiskError) {
        let (offset, length) = (header.logOffset, header.logLength)
        let isEmpty = header.logGUID == .zero
        guard offset >= 1 << 20, offset % (1 << 20) == 0, length > 0, length % (1 << 20) == 0, offset <= fileSize,
            length <= fileSize - offset
        else {
            if isEmpty, !isWritable { return nil }
            throw DiskError(
                .fileCorrupt,
                "header: the log is at offset \(offset) with \(length) bytes, expected multiples of 1048576 inside the file of "
                    + "\(fileSize) bytes" + (isEmpty ? "; it can be attached readonly" : ""),
                path: path
            )
        }
        guard length <= Self.lengthLimit else {
            if isEmpty, !isWritable { return nil }
            throw DiskError(
                .limit,
                "header: the log has \(length) bytes, at most \(Self.lengthLimit) can be handled",
                path: path
            )
        }
        guard isEmpty || header.logVersion == 0 else {
            throw DiskError(
                .unsupportedVersion,
                "header: the log is not empty and its version is \(header.logVersion), expected 0",
                path: path
            )
        }
        range = offset..<offset + length
    }

    /// The place in the file of a position in the log, which is a ring.
    func fileOffset(of position: UInt64) -> UInt64 {
        range.lowerBound + position % length
    }
}
