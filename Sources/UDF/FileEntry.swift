internal import ByteIO
internal import FileSystem
internal import Volumes

/// A file entry or extended file entry (ECMA-167 4/14.9, 4/14.17).
struct FileEntry {
    /// How the allocation descriptors are written.
    enum Allocation: UInt16 {
        case short = 0
        case long = 1
        case extended = 2
        case embedded = 3
    }

    let type: UInt8
    let size: UInt64
    /// Never given to another file of the volume (4/14.9.15, 4/14.17.26).
    let uniqueID: UInt64
    let blocks: UInt64
    let allocation: Allocation
    /// Where the allocation descriptors, or the content itself, are in the block.
    let descriptors: Range<Int>
    /// Where the extended attributes are in the block.
    private let extended: Range<Int>
    private let bytes: [UInt8]
    private let isExtended: Bool
    /// The directory of named streams.
    let streams: LongAllocation?

    /// Reads the entry in a block.
    init(_ bytes: [UInt8], location: UInt32) throws(VolumeError) {
        guard let tag = DescriptorTag(bytes, location: location),
            tag.kind == .fileEntry || tag.kind == .extendedFileEntry
        else { throw VolumeError(.damaged, "there is no sound file entry in block \(location)") }
        do {
            let isExtended = tag.kind == .extendedFileEntry
            let strategy = try bytes.load(UInt16.self, at: 20, .little)
            guard strategy == 4 else {
                throw VolumeError(
                    .unsupported,
                    "the file entry in block \(location) has strategy \(strategy); only 4 is known"
                )
            }
            type = try bytes.load(UInt8.self, at: 27, .little)
            guard let allocation = Allocation(rawValue: try bytes.load(UInt16.self, at: 34, .little) & 7) else {
                throw VolumeError(.damaged, "the file entry in block \(location) has no known allocation type")
            }
            self.allocation = allocation
            size = try bytes.load(UInt64.self, at: 56, .little)
            blocks = try bytes.load(UInt64.self, at: isExtended ? 72 : 64, .little)
            let lengths = isExtended ? 208 : 168
            uniqueID = try bytes.load(UInt64.self, at: lengths - 8, .little)
            let attributes = Int(try bytes.load(UInt32.self, at: lengths, .little))
            let descriptors = Int(try bytes.load(UInt32.self, at: lengths + 4, .little))
            let start = lengths + 8
            guard attributes <= bytes.count - start, descriptors <= bytes.count - start - attributes,
                size <= UInt64(Int64.max)
            else { throw VolumeError(.damaged, "the file entry in block \(location) is longer than its block") }
            extended = start..<start + attributes
            self.descriptors = extended.upperBound..<extended.upperBound + descriptors
            let stream = isExtended ? try LongAllocation(bytes, at: 152) : nil
            streams = (stream?.length ?? 0) > 0 ? stream : nil
            self.isExtended = isExtended
            self.bytes = bytes
        } catch let error as VolumeError {
            throw error
        } catch {
            throw VolumeError(.damaged, "the file entry in block \(location) is cut short")
        }
    }

    var kind: NodeKind? {
        switch type {
        case 4, 13: .directory
        case 6: .blockDevice
        case 7: .characterDevice
        case 9: .fifo
        case 10: .socket
        case 12: .symbolicLink
        // Content of any kind; 248 to 252 are the file system's own.
        case 0, 5, 249: .regular
        default: nil
        }
    }

    // MARK: Attributes

    func attributes(blockSize: UInt64) -> FileAttributes {
        let user = integer(UInt32.self, 36)
        let group = integer(UInt32.self, 40)
        let links = integer(UInt16.self, 48)
        let (allocated, overflow) = blocks.multipliedReportingOverflow(by: blockSize)
        let modified = time(isExtended ? 92 : 84) ?? .unknown
        return FileAttributes(
            kind: kind ?? .regular,
            size: size,
            allocatedBytes: overflow ? 0 : allocated,
            linkCount: UInt32(max(1, links)),
            permissions: permissions,
            owner: user == .max ? nil : user,
            group: group == .max ? nil : group,
            modified: modified,
            accessed: time(isExtended ? 80 : 72),
            changed: time(isExtended ? 116 : 96),
            device: kind == .blockDevice || kind == .characterDevice ? device : nil,
            generation: uniqueID
        )
    }

    private func integer<T: FixedWidthInteger>(_ type: T.Type, _ offset: Int) -> T {
        (try? bytes.load(type, at: offset, .little)) ?? 0
    }

    /// Five bits for each of owner, group and others (4/14.9.5); and the bits of the ICB's flags for set-uid, set-gid and sticky (4/14.6.8).
    private var permissions: UInt16 {
        let stored = integer(UInt32.self, 44)
        var mode: UInt16 = 0
        for (group, shift) in [(stored >> 10, UInt16(6)), (stored >> 5, 3), (stored, 0)] {
            let bits: UInt16 = (group & 4 != 0 ? 4 : 0) | (group & 2 != 0 ? 2 : 0) | (group & 1 != 0 ? 1 : 0)
            mode |= bits << shift
        }
        let flags = integer(UInt16.self, 34)
        return mode | (flags & 0x40 != 0 ? 0o4000 : 0) | (flags & 0x80 != 0 ? 0o2000 : 0)
            | (flags & 0x100 != 0 ? 0o1000 : 0)
    }

    /// A timestamp (ECMA-167 1/7.3).
    private func time(_ offset: Int) -> Timestamp? {
        let zone = Int16(bitPattern: integer(UInt16.self, offset) << 4) >> 4
        let fraction =
            Int64(integer(UInt8.self, offset + 9)) * 10_000 + Int64(integer(UInt8.self, offset + 10)) * 100
            + Int64(integer(UInt8.self, offset + 11))
        return Timestamp(
            year: Int(Int16(bitPattern: integer(UInt16.self, offset + 2))),
            month: Int(integer(UInt8.self, offset + 4)),
            day: Int(integer(UInt8.self, offset + 5)),
            hour: Int(integer(UInt8.self, offset + 6)),
            minute: Int(integer(UInt8.self, offset + 7)),
            second: Int(integer(UInt8.self, offset + 8)),
            nanoseconds: min(fraction, 999_999) * 1000,
            minutesEast: (-1440...1440).contains(zone) ? Int(zone) : 0
        )
    }

    /// The device specification among the extended attributes (ECMA-167 4/14.10.7).
    private var device: DeviceNumber? {
        var place = extended.lowerBound + 24
        while place + 24 <= extended.upperBound {
            let length = Int(integer(UInt32.self, place + 8))
            if integer(UInt32.self, place) == 12 {
                return DeviceNumber(major: integer(UInt32.self, place + 16), minor: integer(UInt32.self, place + 20))
            }
            guard length >= 12, length <= extended.upperBound - place else { return nil }
            place += length
        }
        return nil
    }

    /// The allocation descriptors as they stand in the block.
    var descriptorBytes: [UInt8] { Array(bytes[descriptors]) }
}
