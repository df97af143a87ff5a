import ByteIO
import CTSK
import FileSystem
import VolumeProtocol
import Volumes

/// FAT and exFAT. libtsk shows the volume's label and tables as files, and loses characters outside of the basic plane in long names of FAT;
/// so the directory entries are read here too.
final class FATVolume: PlainVolume {
    private let isExFAT: Bool
    /// Where files are, in bytes: first the root folder of FAT12 and FAT16, then the clusters.
    private var dataAt: UInt64 = 0
    private var clustersAt: UInt64 = 0
    private var clusterSize: UInt64 = 1
    /// Where the allocation table of exFAT is.
    private var tableAt: UInt64 = 0

    /// libtsk counts the 32 bytes of directory entries from the first one of the data area on, and begins with this number.
    private static let firstNumber: UInt64 = 3

    override init(_ fs: UnsafeMutablePointer<TSK_FS_INFO>, blocks: UInt64) throws {
        isExFAT = fs.pointee.ftype == TSK_FS_TYPE_EXFAT
        try super.init(fs, blocks: blocks)
        let boot = try bytes(at: 0, count: 512)
        if isExFAT {
            let shift = UInt64(try boot.load(UInt8.self, at: 108, .little))
            dataAt = UInt64(try boot.load(UInt32.self, at: 88, .little)) << min(shift, 12)
            tableAt = UInt64(try boot.load(UInt32.self, at: 80, .little)) << min(shift, 12)
            clustersAt = dataAt
            clusterSize = 1 << min(shift + UInt64(try boot.load(UInt8.self, at: 109, .little)), 25)
            return
        }
        let sector = UInt64(try boot.load(UInt16.self, at: 11, .little))
        let short = UInt64(try boot.load(UInt16.self, at: 22, .little))
        let table = short != 0 ? short : UInt64(try boot.load(UInt32.self, at: 36, .little))
        let reserved = UInt64(try boot.load(UInt16.self, at: 14, .little))
        dataAt = (reserved + UInt64(boot[16]) * table) * sector
        let root = UInt64(try boot.load(UInt16.self, at: 17, .little)) * 32
        clustersAt = dataAt + (sector == 0 ? 0 : (root + sector - 1) / sector * sector)
        clusterSize = max(1, UInt64(boot[13]) * sector)
    }

    override func name(_ name: [UInt8], of id: UInt64) -> [UInt8]? {
        guard id >= Self.firstNumber, id < 1 << 42,
            let entry = try? bytes(at: dataAt + (id - Self.firstNumber) * 32, count: 32)
        else {
            tsk_error_reset()
            return name
        }
        let offset = dataAt + (id - Self.firstNumber) * 32
        // A file of exFAT begins with an entry of type 5 that is in use.
        if isExFAT { return entry[0] == 0x85 ? name : nil }
        // The label.
        if entry[11] & 0x08 != 0 { return nil }
        return longName(of: entry, at: offset) ?? name
    }

    /// The short name; of exFAT the time of making. (Linux has long put the time of the last change there on FAT.)
    override func generation(of file: TSKFile) throws -> UInt64 {
        let id = file.meta.pointee.addr
        guard id >= Self.firstNumber, id != root, id < 1 << 42 else { return 0 }
        let entry = try bytes(at: dataAt + (id - Self.firstNumber) * 32, count: 32)
        let parts = isExFAT ? entry[8..<12] + entry[20..<21] : entry[0..<11]
        // FNV-1a.
        return parts.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }

    /// exFAT keeps the length of what has been written beside that of the file (its specification, section 7.6.5); what stands on the volume
    /// behind it is another file's old bytes.
    override func writtenSize(of file: TSKFile) throws -> UInt64 {
        let id = file.meta.pointee.addr
        guard isExFAT, id >= Self.firstNumber, id != root else { return .max }
        let entry = dataAt + (id - Self.firstNumber) * 32
        let size = UInt64(max(0, file.meta.pointee.size))
        for place in try placesBehind(entry) {
            guard let stream = try? bytes(at: place, count: 32), stream[0] == 0xC0,
                try stream.load(UInt64.self, at: 24, .little) == size
            else { continue }
            return try stream.load(UInt64.self, at: 8, .little)
        }
        throw Failure(.damaged, "the directory entry of file \(id) has no stream extension behind it")
    }

    /// Where the entry behind one may be: at the end of a cluster the table says which comes next, unless the folder is in one piece.
    private func placesBehind(_ entry: UInt64) throws -> [UInt64] {
        let next = entry + 32
        guard (next - clustersAt) % clusterSize == 0 else { return [next] }
        let cluster = (entry - clustersAt) / clusterSize + 2
        let following = UInt64(try bytes(at: tableAt + 4 * cluster, count: 4).load(UInt32.self, at: 0, .little))
        guard following >= 2, following < 0xFFFF_FFF7 else { return [next] }
        return [clustersAt + (following - 2) * clusterSize, next]
    }

    /// The long name that stands before an entry (Microsoft's FAT specification, section 7); nil if it has none there, or it goes on in another
    /// cluster.
    private func longName(of entry: [UInt8], at offset: UInt64) -> [UInt8]? {
        // The root folder of FAT12 and FAT16 stands before the first cluster, in one piece.
        let start = offset < clustersAt ? dataAt : offset - (offset - clustersAt) % clusterSize
        let count = Int(min(20 * 32, offset - start))
        guard count >= 32, let before = try? bytes(at: offset - UInt64(count), count: count) else {
            tsk_error_reset()
            return nil
        }
        let checksum = entry[..<11].reduce(UInt8(0)) { ($0 >> 1 | $0 << 7) &+ $1 }
        var units: [UInt16] = []
        for number in 1...count / 32 {
            let part = Array(before[(count - 32 * number)..<(count - 32 * number + 32)])
            guard part[11] == 0x0F, part[13] == checksum, Int(part[0] & 0x3F) == number else { return nil }
            for place in [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30] {
                units.append(UInt16(part[place]) | UInt16(part[place + 1]) << 8)
            }
            guard part[0] & 0x40 != 0 else { continue }
            return Array(String(decoding: units.prefix { $0 != 0 && $0 != 0xFFFF }, as: UTF16.self).utf8)
        }
        return nil
    }
}
