internal import BlockDevice
internal import ByteIO

/// A header of a GUID partition table and its entries (UEFI specification, chapter 5.3).
struct GUIDPartitionTable {
    let diskGUID: GUID
    let partitions: [Partition]

    private static let signature = Array("EFI PART".utf8)
    /// Entries that are looked at: eight times as many as anybody uses.
    private static let entryLimit: UInt32 = 1024

    /// Reads the header in a sector; throws words about what is wrong with it, or nil if there is none.
    static func read(
        _ device: any BlockDevice,
        headerAt place: UInt64,
        sectorSize: Int
    ) throws(DiskError) -> Result<GUIDPartitionTable, Damage>? {
        let (offset, overflow) = place.multipliedReportingOverflow(by: UInt64(sectorSize))
        guard !overflow else { return nil }
        let sector = try device.readBytes(at: offset, count: sectorSize)
        guard sector.starts(with: signature) else { return nil }
        do {
            let header = try Header(sector, place: place)
            let count = Int(header.entrySize) * Int(header.entryCount)
            let (start, tooFar) = header.entriesAt.multipliedReportingOverflow(by: UInt64(sectorSize))
            let bytes = tooFar ? [] : try device.readBytes(at: start, count: count)
            guard bytes.count == count, crc32(bytes) == header.entriesChecksum else {
                throw Damage(text: "the checksum of the entries at sector \(header.entriesAt) is wrong")
            }
            return .success(try GUIDPartitionTable(header, bytes, sectorSize: sectorSize))
        } catch let error as DiskError {
            throw error
        } catch let damage as Damage {
            return .failure(damage)
        } catch {
            return .failure(Damage(text: "its header is too short"))
        }
    }

    /// What is wrong with a table.
    struct Damage: Error {
        var text: String
    }

    private struct Header {
        let diskGUID: GUID
        let entriesAt: UInt64
        let entryCount: UInt32
        let entrySize: UInt32
        let entriesChecksum: UInt32

        init(_ sector: [UInt8], place: UInt64) throws {
            let size = try sector.load(UInt32.self, at: 12, .little)
            guard size >= 92, size <= sector.count else { throw Damage(text: "its header claims \(size) bytes") }
            var checked = try sector.bytes(at: 0, count: Int(size))
            let checksum = try checked.load(UInt32.self, at: 16, .little)
            checked.store(UInt32(0), at: 16, .little)
            guard crc32(checked) == checksum else { throw Damage(text: "the checksum of its header is wrong") }
            let own = try sector.load(UInt64.self, at: 24, .little)
            guard own == place else { throw Damage(text: "its header at sector \(place) says that it lies at \(own)") }
            guard let guid = GUID(bytes: try sector.bytes(at: 56, count: 16)) else { throw Damage(text: "no GUID") }
            diskGUID = guid
            entriesAt = try sector.load(UInt64.self, at: 72, .little)
            entryCount = try sector.load(UInt32.self, at: 80, .little)
            entrySize = try sector.load(UInt32.self, at: 84, .little)
            entriesChecksum = try sector.load(UInt32.self, at: 88, .little)
            guard (128...4096).contains(entrySize), entrySize % 8 == 0, entryCount <= entryLimit else {
                throw Damage(text: "it claims \(entryCount) entries of \(entrySize) bytes")
            }
        }
    }

    private init(_ header: Header, _ bytes: [UInt8], sectorSize: Int) throws {
        diskGUID = header.diskGUID
        var partitions: [Partition] = []
        for index in 0..<Int(header.entryCount) {
            let entry = try bytes.bytes(at: index * Int(header.entrySize), count: 128)
            guard let type = GUID(bytes: try entry.bytes(at: 0, count: 16)), type != .zero,
                let guid = GUID(bytes: try entry.bytes(at: 16, count: 16))
            else { continue }
            let first = try entry.load(UInt64.self, at: 32, .little)
            let last = try entry.load(UInt64.self, at: 40, .little)
            let name = decodeUTF16(try entry.bytes(at: 56, count: 72), .little)
            let text = type.windowsText.uppercased()
            var partition = Partition(
                number: index + 1,
                range: 0..<0,
                type: text,
                typeName: PartitionTypes.gpt[text],
                name: name.isEmpty ? nil : name,
                guid: guid.windowsText.uppercased()
            )
            let size = UInt64(sectorSize)
            let (start, startOverflow) = first.multipliedReportingOverflow(by: size)
            let (end, endOverflow) = last.addingReportingOverflow(1).partialValue.multipliedReportingOverflow(by: size)
            if last == .max || startOverflow || endOverflow || first > last {
                partition.problem = "it claims to reach from sector \(first) to \(last)"
            } else {
                partition.range = start..<end
            }
            partitions.append(partition)
        }
        self.partitions = partitions
    }
}
