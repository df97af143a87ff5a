internal import BlockDevice
internal import ByteIO

/// The metadata item that tells a differencing disk's parent: keys and values (formats.md §3.9).
struct ParentLocator: Sendable {
    private static let vhdxType = GUID(windowsText: "B04AEFB7-D19E-4A81-B789-25B8E9445913")
    private static let pairLimit = 256

    /// The values by their keys, which are case-sensitive.
    let values: [String: String]

    init(_ bytes: [UInt8], path: String) throws(DiskError) {
        do {
            guard let type = GUID(bytes: try bytes.bytes(at: 0, count: 16)), type == Self.vhdxType else {
                throw DiskError(
                    .unsupportedFeature,
                    "parent locator: its type is not the one for VHDX parents",
                    path: path
                )
            }
            values = try Self.pairs(in: bytes, path)
        } catch let error as DiskError {
            throw error
        } catch {
            throw DiskError(.fileCorrupt, "parent locator: a key or value reaches past its end", path: path)
        }
    }

    private static func pairs(in bytes: [UInt8], _ path: String) throws -> [String: String] {
        func damaged(_ what: String) -> DiskError { DiskError(.fileCorrupt, "parent locator: \(what)", path: path) }

        let count = Int(try bytes.load(UInt16.self, at: 18, .little))
        guard count <= pairLimit else {
            throw DiskError(.limit, "parent locator: it has \(count) pairs, at most \(pairLimit) are read", path: path)
        }
        func text(at offset: UInt32, count: UInt16) throws -> String {
            guard offset > 0, count > 0, count % 2 == 0 else {
                throw damaged("a key or value has \(count) bytes at \(offset)")
            }
            return decodeUTF16(try bytes.bytes(at: Int(offset), count: Int(count)), .little)
        }
        var values: [String: String] = [:]
        for index in 0..<count {
            let at = 20 + 12 * index
            let key = try text(at: bytes.load(at: at, .little), count: bytes.load(at: at + 8, .little))
            let value = try text(at: bytes.load(at: at + 4, .little), count: bytes.load(at: at + 10, .little))
            guard values.updateValue(value, forKey: key) == nil else {
                throw damaged("the key '\(key)' is there twice")
            }
        }
        return values
    }

    /// What the pairs say about the parent. A `parent_linkage2` of zeros, which Hyper-V writes into every child, means none.
    var reference: VHDXParentReference {
        let linkages = ["parent_linkage", "parent_linkage2"]
            .compactMap { values[$0] }
            .compactMap { GUID(windowsText: $0) }
            .filter { $0 != .zero }
        let relative = values["relative_path"]
        let absolute = ["absolute_win32_path", "volume_path"].compactMap { values[$0] }
        // The last resort: the same file name beside the child.
        let names = ([relative].compactMap(\.self) + absolute).filter { !$0.isEmpty }
        return VHDXParentReference(
            linkages: linkages,
            paths: (relative.map { [.relative($0)] } ?? []) + absolute.map(ParentPath.absolute)
                + names.map(ParentPath.name)
        )
    }
}
