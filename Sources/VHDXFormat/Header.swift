internal import ByteIO

/// One of the two headers (formats.md §3.2).
struct Header: Sendable {
    static let byteCount = 4096
    /// Where the two headers stand.
    static let offsets: [UInt64] = [64 << 10, 128 << 10]

    var sequenceNumber: UInt64
    var fileWriteGUID: GUID
    var dataWriteGUID: GUID
    /// Zero when the log is empty.
    var logGUID: GUID
    let logVersion: UInt16
    let version: UInt16
    let logLength: UInt64
    let logOffset: UInt64
    /// The bytes as they were read: reserved ones are kept.
    private let original: [UInt8]

    /// Takes 4,096 bytes; nil unless signature and checksum are right.
    init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.byteCount, bytes.starts(with: Array("head".utf8)),
            let checksum = try? bytes.load(UInt32.self, at: 4, .little), checksum == bytes.crc32c(checksumAt: 4),
            let sequenceNumber = try? bytes.load(UInt64.self, at: 8, .little),
            let fileWriteGUID = try? GUID(bytes: bytes.bytes(at: 16, count: 16)),
            let dataWriteGUID = try? GUID(bytes: bytes.bytes(at: 32, count: 16)),
            let logGUID = try? GUID(bytes: bytes.bytes(at: 48, count: 16)),
            let logVersion = try? bytes.load(UInt16.self, at: 64, .little),
            let version = try? bytes.load(UInt16.self, at: 66, .little),
            let logLength = try? bytes.load(UInt32.self, at: 68, .little),
            let logOffset = try? bytes.load(UInt64.self, at: 72, .little)
        else { return nil }
        self.sequenceNumber = sequenceNumber
        self.fileWriteGUID = fileWriteGUID
        self.dataWriteGUID = dataWriteGUID
        self.logGUID = logGUID
        self.logVersion = logVersion
        self.version = version
        self.logLength = UInt64(logLength)
        self.logOffset = logOffset
        original = bytes
    }

    /// The 4,096 bytes for the file.
    var bytes: [UInt8] {
        var bytes = original
        bytes.store(sequenceNumber, at: 8, .little)
        bytes.store(fileWriteGUID.bytes, at: 16)
        bytes.store(dataWriteGUID.bytes, at: 32)
        bytes.store(logGUID.bytes, at: 48)
        // What is in the log from now on is written by us.
        bytes.store(UInt16(0), at: 64, .little)
        bytes.store(bytes.crc32c(checksumAt: 4), at: 4, .little)
        return bytes
    }

    /// Everything that has a meaning: two headers with the same sequence number must agree on it.
    var meaning: [UInt8] { Array(original.prefix(80)) }
}
