internal import ByteIO
internal import Volumes

/// Walks over the records of a directory, in large pieces. No record crosses the end of its sector.
struct RecordWalk {
    let volume: ISO9660Volume
    /// Where the next piece begins on the volume.
    private var offset: UInt64
    private let end: UInt64
    private var buffer: [UInt8] = []
    private var bufferAt: UInt64 = 0
    private var place = 0

    private static let pieceSize = 256 << 10

    /// Walks from a record's place to the end of its directory.
    init(volume: ISO9660Volume, offset: UInt64, end: UInt64) {
        self.volume = volume
        self.offset = offset
        self.end = end
    }

    /// The next record, the buffer that it is in, and its place on the volume; nil at the end.
    mutating func next() throws(VolumeError) -> (record: DirectoryRecord, buffer: [UInt8], position: UInt64)? {
        let sector = UInt64(ISO9660Volume.sectorSize)
        while true {
            if place >= buffer.count {
                guard offset < end else { return nil }
                // From the beginning of a sector, so that ends of sectors in the buffer are those on the volume.
                bufferAt = offset / sector * sector
                let count = Int(min(UInt64(Self.pieceSize), end - bufferAt))
                buffer = try volume.read(bufferAt, count)
                guard buffer.count == count else {
                    throw VolumeError(.damaged, "a directory reaches past the end of the volume")
                }
                place = Int(offset - bufferAt)
                offset = bufferAt + UInt64(count)
            }
            let sectorEnd = (place / Int(sector) + 1) * Int(sector)
            do {
                guard let record = try DirectoryRecord(buffer, at: place, sectorEnd: sectorEnd) else {
                    place = sectorEnd
                    continue
                }
                defer { place += record.length }
                return (record, buffer, bufferAt + UInt64(place))
            } catch {
                throw VolumeError(.damaged, "the record at \(bufferAt + UInt64(place)) does not fit into its sector")
            }
        }
    }
}
