internal import CPlatform
internal import Glibc
public import SystemPackage

// Which parts of a file the host stores.
extension Descriptor {
    /// Gives the space of a range back; it reads as zeros then. The length stays.
    ///
    /// - Throws: `EOPNOTSUPP` where the file system has no holes.
    public func punchHole(_ range: Range<UInt64>) throws(Errno) {
        let (offset, count) = try hostRange(range)
        if count == 0 { return }
        _ = try retrying { platform_punch_hole(rawValue, offset, count) }
    }

    /// Makes a range read as zeros, and keeps its space. The length stays.
    ///
    /// - Throws: `EOPNOTSUPP` where the file system can only write zeros.
    public func zeroRange(_ range: Range<UInt64>) throws(Errno) {
        let (offset, count) = try hostRange(range)
        if count == 0 { return }
        _ = try retrying { platform_zero_range(rawValue, offset, count) }
    }

    /// The first stored byte at or behind `offset`; nil when there is none before the end of the file.
    ///
    /// - Throws: `EINVAL` where the file system can't tell.
    public func nextData(from offset: UInt64) throws(Errno) -> UInt64? {
        try seek(from: offset, SEEK_DATA)
    }

    /// The first byte at or behind `offset` that is not stored (at the latest, the end of the file); nil when `offset` is past the end.
    ///
    /// - Throws: `EINVAL` where the file system can't tell.
    public func nextHole(from offset: UInt64) throws(Errno) -> UInt64? {
        try seek(from: offset, SEEK_HOLE)
    }

    private func seek(from offset: UInt64, _ whence: CInt) throws(Errno) -> UInt64? {
        guard let start = off_t(exactly: offset) else { throw .invalidArgument }
        do {
            return try UInt64(retrying { lseek(rawValue, start, whence) })
        } catch .noSuchAddressOrDevice {
            return nil
        }
    }

    func hostRange(_ range: Range<UInt64>) throws(Errno) -> (offset: Int64, count: Int64) {
        guard let end = Int64(exactly: range.upperBound) else { throw .fileTooLarge }
        let offset = Int64(range.lowerBound)
        return (offset, end - offset)
    }
}
