internal import BlockDevice
internal import ByteIO

/// The beginning of a volume, and reads of a few bytes elsewhere.
struct Probe {
    let device: any BlockDevice
    /// The first 4 KiB, or as many as there are.
    let head: [UInt8]

    init(_ device: any BlockDevice) throws(DiskError) {
        self.device = device
        head = try device.readBytes(at: 0, count: 4096)
    }

    /// Bytes from anywhere; fewer, or none, past the end. What can't be read is not there: other signatures may still be.
    func bytes(_ offset: UInt64, _ count: Int) -> [UInt8] {
        if offset < UInt64(head.count), count <= head.count - Int(offset) {
            return Array(head[Int(offset)..<Int(offset) + count])
        }
        return (try? device.readBytes(at: offset, count: count)) ?? []
    }

    /// Whether a text stands at an offset.
    func has(_ text: String, at offset: UInt64) -> Bool {
        bytes(offset, text.utf8.count).elementsEqual(text.utf8)
    }

    func integer<T: FixedWidthInteger>(_ type: T.Type, _ offset: UInt64, _ order: ByteOrder = .little) -> T {
        (try? bytes(offset, MemoryLayout<T>.size).load(type, at: 0, order)) ?? 0
    }

    // MARK: Labels and identifiers

    /// A text of fixed length: up to a NUL, without blanks at its end; nil if nothing is left.
    func text(_ offset: UInt64, _ count: Int) -> String? {
        Self.trimmed(String(decoding: bytes(offset, count).prefix { $0 != 0 }, as: UTF8.self))
    }

    /// A text in UTF-16 of fixed length.
    func text16(_ offset: UInt64, _ count: Int, _ order: ByteOrder) -> String? {
        Self.trimmed(decodeUTF16(bytes(offset, count), order))
    }

    static func trimmed(_ text: String) -> String? {
        var text = Substring(text)
        while text.last == " " { text.removeLast() }
        return text.isEmpty ? nil : String(text)
    }

    /// An identifier in the order of its bytes; nil if all are zero.
    func uuid(_ offset: UInt64) -> String? {
        GUID(bytes: bytes(offset, 16)).flatMap { $0 == .zero ? nil : "\($0)" }
    }

    /// Bytes as hexadecimal digits in upper case, the last byte first.
    func serial(_ offset: UInt64, _ count: Int) -> String {
        bytes(offset, count).reversed().map { byte in
            let text = String(byte, radix: 16, uppercase: true)
            return byte < 16 ? "0" + text : text
        }.joined()
    }

    /// A serial number of DOS: `1234-ABCD`.
    func dosSerial(_ offset: UInt64) -> String? {
        let digits = serial(offset, 4)
        return digits.count == 8 ? digits.prefix(4) + "-" + digits.suffix(4) : nil
    }
}
