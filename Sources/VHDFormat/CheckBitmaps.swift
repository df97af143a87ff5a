internal import BlockDevice
internal import ByteIO

/// Checks the sector bitmap of one block after the other.
struct BitmapCheck {
    private let file: any HostFile
    private let layout: BlockLayout
    private let batmap: CheckedBatmap?
    private let limit: UInt64
    private let isDifferencing: Bool
    private var partlyWritten: UInt64 = 0
    private var firstPartlyWritten: UInt64 = 0

    init(
        _ file: any HostFile,
        _ layout: BlockLayout,
        _ batmap: CheckedBatmap?,
        _ limit: UInt64,
        isDifferencing: Bool
    ) {
        self.file = file
        self.layout = layout
        self.batmap = batmap
        self.limit = limit
        self.isDifferencing = isDifferencing
    }

    /// Checks one block.
    ///
    /// - Parameter range: where it is in the file, as if it were whole.
    mutating func check(_ block: UInt64, _ range: Range<UInt64>, _ report: inout CheckReport) throws(DiskError) {
        let dataStart = range.lowerBound + layout.bitmapSize
        guard dataStart <= limit else {
            report.damage(
                "block \(block)",
                at: range.lowerBound,
                "its sector bitmap reaches behind the data's end at \(limit)"
            )
            return
        }
        let isCut = range.upperBound > limit
        guard isCut || !isDifferencing || batmap != nil else { return }
        let bitmap = try file.readBytes("sector bitmap", at: range.lowerBound, count: Int(layout.bitmapSize))
        let disk = layout.diskRange(of: block)
        let sectors = (disk.upperBound - disk.lowerBound) / 512
        let present = Self.count(bitmap, 0..<sectors)
        // Only sectors of the disk that the bitmap calls present can be missed.
        let missing = isCut ? Self.count(bitmap, min(sectors, (limit - dataStart) / 512)..<sectors) : 0
        if missing > 0 {
            report.damage(
                "block \(block)",
                at: range.lowerBound,
                "it is cut at offset \(limit), expected to reach to \(range.upperBound): \(missing) of its sectors are missing"
            )
        }
        if let batmap, batmap.isFull(block), present < sectors {
            report.damage(
                "batmap",
                at: batmap.offset(of: block),
                "block \(block) is said to be full, but only \(present) of its \(sectors) sectors are"
            )
        }
        guard !isDifferencing, present < sectors else { return }
        if partlyWritten == 0 { firstPartlyWritten = block }
        partlyWritten += 1
    }

    /// Adds what concerns all blocks together.
    func finish(_ report: inout CheckReport) {
        guard partlyWritten > 0 else { return }
        report.note(
            "\(partlyWritten) allocated blocks have sectors that were never written and read as zeros (one is block "
                + "\(firstPartlyWritten)); programs that ignore the bitmaps of dynamic disks, QEMU too, show what is stored there"
        )
    }

    private static func count(_ bitmap: [UInt8], _ sectors: Range<UInt64>) -> UInt64 {
        var count: UInt64 = 0
        var sector = sectors.lowerBound
        while sector < sectors.upperBound {
            let byte = bitmap[Int(sector / 8)]
            if sector % 8 == 0, sector + 8 <= sectors.upperBound {
                count += UInt64(byte.nonzeroBitCount)
                sector += 8
            } else {
                if byte & (0x80 >> UInt8(sector % 8)) != 0 { count += 1 }
                sector += 1
            }
        }
        return count
    }
}

/// Xen's map of full blocks, of a file whose map has a good checksum (formats.md §2.10).
struct CheckedBatmap {
    private let mapOffset: UInt64
    private let map: [UInt8]

    /// What the map says of a block.
    func isFull(_ block: UInt64) -> Bool {
        block / 8 < UInt64(map.count) && map[Int(block / 8)] & (0x80 >> UInt8(block % 8)) != 0
    }

    /// Where it says so.
    func offset(of block: UInt64) -> UInt64 { mapOffset + block / 8 }

    fileprivate init(mapOffset: UInt64, map: [UInt8]) {
        self.mapOffset = mapOffset
        self.map = map
    }
}

extension VHDCheck {
    /// Reads the map; nil if there is none, or one that nobody believes.
    mutating func checkedBatmap(_ batmap: Batmap?, of layout: BlockLayout) throws(DiskError) -> CheckedBatmap? {
        guard let batmap else { return nil }
        let place = batmap.range.lowerBound
        let header = try file.readBytes("batmap header", at: place, count: 512)
        guard let mapOffset = try? header.load(UInt64.self, at: 8, .big), mapOffset <= batmap.range.upperBound,
            let version = try? header.load(UInt32.self, at: 20, .big),
            let stored = try? header.load(UInt32.self, at: 24, .big)
        else { return nil }
        let size = batmap.range.upperBound - mapOffset
        guard size <= 1 << 24 else {
            report.note("the batmap at offset \(place) has \(size) bytes, more than can be checked")
            return nil
        }
        let map = try file.readBytes("batmap", at: mapOffset, count: Int(size))
        // Version 1.1 added the bytes up as signed ones.
        let sum = map.reduce(into: UInt32(0)) {
            $0 &+= version == 0x0001_0001 ? UInt32(bitPattern: Int32(Int8(bitPattern: $1))) : UInt32($1)
        }
        guard stored == ~sum else {
            report.note(
                "the batmap at offset \(place) is ignored: its checksum is \(hex(stored)), expected \(hex(~sum))"
            )
            return nil
        }
        if size * 8 < layout.blockCount {
            report.note("the batmap at offset \(place) has \(size * 8) bits for \(layout.blockCount) blocks")
        }
        return CheckedBatmap(mapOffset: mapOffset, map: map)
    }
}
