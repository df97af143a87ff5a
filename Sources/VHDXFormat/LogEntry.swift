internal import BlockDevice
internal import ByteIO

/// One entry of the log: pages and zero ranges that belong into the file together (formats.md §3.7).
struct LogEntry: Sendable {
    /// Size of the header in front of the first descriptors.
    private static let headerSize: UInt64 = 64
    private static let descriptorSize: UInt64 = 32
    private static let sector = LogPlace.sectorSize
    /// A longer entry than this is not taken into memory; Windows writes none of more than a few MiB.
    static let lengthLimit: UInt64 = 64 << 20

    /// The fields that tell whether it is worth while to read the rest.
    struct Head: Sendable {
        let length: UInt64
        let tail: UInt64
        let sequenceNumber: UInt64
        let descriptorCount: UInt64

        /// Takes the first 64 bytes; nil when they can't begin an entry of this log.
        init?(_ bytes: [UInt8], guid: GUID, logLength: UInt64) {
            guard bytes.starts(with: Array("loge".utf8)),
                let length = try? bytes.load(UInt32.self, at: 8, .little),
                let tail = try? bytes.load(UInt32.self, at: 12, .little),
                let sequenceNumber = try? bytes.load(UInt64.self, at: 16, .little),
                let descriptorCount = try? bytes.load(UInt32.self, at: 24, .little),
                let found = try? GUID(bytes: bytes.bytes(at: 32, count: 16)), found == guid
            else { return nil }
            self.length = UInt64(length)
            self.tail = UInt64(tail)
            self.sequenceNumber = sequenceNumber
            self.descriptorCount = UInt64(descriptorCount)
            guard self.length >= sector, self.length % sector == 0, self.length < logLength, self.tail % sector == 0,
                self.tail < logLength, sequenceNumber > 0,
                LogEntry.descriptorSectors(self.descriptorCount) * sector <= self.length
            else { return nil }
        }
    }

    /// What a descriptor asks for.
    struct Operation: Sendable {
        /// What the range holds afterwards.
        enum Content: Sendable {
            case zeros
            /// 4,096 bytes: eight from the descriptor, 4,084 from the data sector at `sector` of the file, four from the descriptor.
            /// Both numbers are little-endian.
            case page(leading: UInt64, sector: UInt64, trailing: UInt32)
        }

        /// Where it goes, in bytes of the file.
        let offset: UInt64
        let count: UInt64
        let content: Content
    }

    /// Where it begins, relative to the log.
    let position: UInt64
    let head: Head
    /// A file length that was durable when the entry was written.
    let flushedFileOffset: UInt64
    /// A file length that holds all that is allocated.
    let lastFileOffset: UInt64
    let operations: [Operation]

    /// Where the next entry begins.
    func next(in log: LogPlace) -> UInt64 { (position + head.length) % log.length }

    /// How many sectors header and descriptors take.
    static func descriptorSectors(_ count: UInt64) -> UInt64 {
        (headerSize + descriptorSize * count + sector - 1) / sector
    }

    /// Takes the whole entry; nil unless everything in it is right.
    ///
    /// - Parameter bytes: `head.length` bytes.
    init?(_ bytes: [UInt8], _ head: Head, at position: UInt64, in log: LogPlace) {
        guard let checksum = try? bytes.load(UInt32.self, at: 4, .little), checksum == bytes.crc32c(checksumAt: 4),
            let flushed = try? bytes.load(UInt64.self, at: 48, .little),
            let last = try? bytes.load(UInt64.self, at: 56, .little),
            let operations = try? Self.operations(in: bytes, head, at: position, in: log)
        else { return nil }
        self.position = position
        self.head = head
        flushedFileOffset = flushed
        lastFileOffset = last
        self.operations = operations
    }

    private static func operations(
        in bytes: [UInt8],
        _ head: Head,
        at position: UInt64,
        in log: LogPlace
    ) throws(OutOfBounds) -> [Operation]? {
        var operations: [Operation] = []
        var dataSector = descriptorSectors(head.descriptorCount) * sector
        for index in 0..<head.descriptorCount {
            let at = Int(headerSize + index * descriptorSize)
            guard try bytes.load(UInt64.self, at: at + 24, .little) == head.sequenceNumber else { return nil }
            let offset = try bytes.load(UInt64.self, at: at + 16, .little)
            guard offset % sector == 0 else { return nil }
            switch try bytes.bytes(at: at, count: 4) {
            case Array("zero".utf8):
                let count = try bytes.load(UInt64.self, at: at + 8, .little)
                guard count % sector == 0 else { return nil }
                operations.append(Operation(offset: offset, count: count, content: .zeros))
            case Array("desc".utf8):
                guard try isDataSector(bytes, at: Int(dataSector), head.sequenceNumber) else { return nil }
                let page = Operation.Content.page(
                    leading: try bytes.load(at: at + 8, .little),
                    sector: log.fileOffset(of: position + dataSector),
                    trailing: try bytes.load(at: at + 4, .little)
                )
                operations.append(Operation(offset: offset, count: sector, content: page))
                dataSector += sector
            default:
                return nil
            }
        }
        return dataSector == head.length ? operations : nil
    }

    private static func isDataSector(_ bytes: [UInt8], at offset: Int, _ sequence: UInt64) throws(OutOfBounds) -> Bool {
        let high = try bytes.load(UInt32.self, at: offset + 4, .little)
        let low = try bytes.load(UInt32.self, at: offset + Int(sector) - 4, .little)
        return try bytes.bytes(at: offset, count: 4) == Array("data".utf8)
            && UInt64(high) << 32 | UInt64(low) == sequence
    }
}

extension LogEntry {
    /// A page for the log.
    struct Page {
        /// Where it goes in the file; a multiple of 4,096.
        let offset: UInt64
        /// 4,096 bytes.
        let bytes: [UInt8]
    }

    /// How many pages fit into an entry of at most so many bytes.
    static func pageLimit(entryLength: UInt64) -> Int {
        let sectors = entryLength / sector
        var pages = sectors
        while pages > 0, pages + descriptorSectors(pages) > sectors { pages -= 1 }
        return Int(pages)
    }

    /// The bytes of an entry that puts pages into the file.
    ///
    /// - Parameters:
    ///   - position: where it begins in the log; it is its own tail: nothing before it is needed.
    ///   - fileSize: the length of the file, which is durable. Both offsets are multiples of 1 MiB, on which all structures end; the last one
    ///     may be cut by less than a sector.
    static func encode(
        _ pages: [Page],
        guid: GUID,
        sequenceNumber: UInt64,
        position: UInt64,
        fileSize: UInt64
    ) -> [UInt8] {
        let descriptorBytes = Int(descriptorSectors(UInt64(pages.count)) * sector)
        let sector = Int(sector)
        var bytes = [UInt8](repeating: 0, count: descriptorBytes + pages.count * sector)
        bytes.store(Array("loge".utf8), at: 0)
        bytes.store(UInt32(bytes.count), at: 8, .little)
        bytes.store(UInt32(position), at: 12, .little)
        bytes.store(sequenceNumber, at: 16, .little)
        bytes.store(UInt32(pages.count), at: 24, .little)
        bytes.store(guid.bytes, at: 32)
        let mebibyte: UInt64 = 1 << 20
        bytes.store(fileSize & ~(mebibyte - 1), at: 48, .little)
        bytes.store((fileSize + 511) & ~(mebibyte - 1), at: 56, .little)
        for (index, page) in pages.enumerated() {
            let at = Int(headerSize) + index * Int(descriptorSize)
            bytes.store(Array("desc".utf8), at: at)
            bytes.store(page.bytes.suffix(4), at: at + 4)
            bytes.store(page.bytes.prefix(8), at: at + 8)
            bytes.store(page.offset, at: at + 16, .little)
            bytes.store(sequenceNumber, at: at + 24, .little)
            let data = descriptorBytes + index * sector
            bytes.store(Array("data".utf8), at: data)
            bytes.store(UInt32(sequenceNumber >> 32), at: data + 4, .little)
            bytes.store(page.bytes[8..<sector - 4], at: data + 8)
            bytes.store(UInt32(truncatingIfNeeded: sequenceNumber), at: data + sector - 4, .little)
        }
        bytes.store(bytes.crc32c(checksumAt: 4), at: 4, .little)
        return bytes
    }
}
