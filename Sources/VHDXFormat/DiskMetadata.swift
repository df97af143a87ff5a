internal import BlockDevice
internal import ByteIO

/// The metadata items that describe the virtual disk (formats.md §3.5).
struct DiskMetadata: Sendable {
    /// The GUIDs of known items.
    private enum Item {
        static let fileParameters = GUID(windowsText: "CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
        static let virtualDiskSize = GUID(windowsText: "2FA54224-CD1B-4876-B211-5DBED83BF4B8")
        static let virtualDiskID = GUID(windowsText: "BECA12AB-B2E6-4523-93EF-C309E000C746")
        static let logicalSectorSize = GUID(windowsText: "8141BF1D-A96F-4709-BA47-F233A8FAAB5F")
        static let physicalSectorSize = GUID(windowsText: "CDA348C7-445D-4471-9CC9-E9885251C556")
        static let parentLocator = GUID(windowsText: "A8D35F2D-B30B-454D-ABF7-D3D84834AB0C")
        /// Not documented; understood by Windows, and of no use here.
        static let geometry = GUID(windowsText: "DA02D7BC-3D3A-423C-AC88-2A36AB21479B")
        static let persistentMemoryLabel = GUID(windowsText: "10E1AE8A-4B7E-4169-A40F-CD70DE928393")
        /// Not documented: the file is still being made.
        static let incompleteFile = GUID(windowsText: "71CC85F0-1B69-4E28-9558-C3BF83AE75D3")

        static let known = [
            fileParameters, virtualDiskSize, virtualDiskID, logicalSectorSize, physicalSectorSize, parentLocator,
            geometry, persistentMemoryLabel, incompleteFile,
        ]
    }

    static let sizeLimit: UInt64 = 64 << 40

    let blockSize: UInt64
    let leavesBlocksAllocated: Bool
    let hasParent: Bool
    let size: UInt64
    let virtualDiskID: GUID
    let logicalSectorSize: UInt64
    let physicalSectorSize: UInt64
    let parent: VHDXParentReference?
    private(set) var warnings: [String] = []

    init(in region: Range<UInt64>, of file: any HostFile, isWritable: Bool) throws(DiskError) {
        let table = try MetadataTable(in: region, of: file)
        let items = Items(table: table, path: file.path)
        try Self.checkUnknown(table, file.path)

        let parameters = try items.required(Item.fileParameters, "file parameters", count: 8)
        (blockSize, leavesBlocksAllocated, hasParent) = (
            UInt64(items.number32(parameters, at: 0)), parameters[4] & 1 != 0, parameters[4] & 2 != 0
        )
        size = items.number64(try items.required(Item.virtualDiskSize, "virtual disk size", count: 8))
        let id = try items.required(Item.virtualDiskID, "virtual disk id", count: 16)
        virtualDiskID = GUID(bytes: id) ?? .zero
        logicalSectorSize = UInt64(
            items.number32(try items.required(Item.logicalSectorSize, "logical sector size", count: 4), at: 0)
        )
        physicalSectorSize = UInt64(
            items.number32(try items.required(Item.physicalSectorSize, "physical sector size", count: 4), at: 0)
        )
        let locator = table.systemItem(Item.parentLocator)
        switch (hasParent, locator) {
        case (true, let locator?):
            parent = try ParentLocator(try table.content(of: locator), path: file.path).reference
        case (true, nil):
            throw DiskError(
                .fileCorrupt,
                "metadata: the disk has a parent, but the parent locator is missing",
                path: file.path
            )
        case (false, _):
            parent = nil
            if locator != nil { warnings.append("there is a parent locator, but the disk has no parent") }
        }

        if items.number32(parameters, at: 4) & ~3 != 0 || table.entries.contains(where: \.hasReservedFlags) {
            let text = "reserved bits are set in the file parameters or in the flags of a metadata item"
            guard !isWritable else {
                throw DiskError(.unsupportedFeature, "metadata: \(text); attach it readonly", path: file.path)
            }
            warnings.append(text)
        }
        try checkNumbers(file.path)
    }

    private static func checkUnknown(_ table: MetadataTable, _ path: String) throws(DiskError) {
        if let incomplete = table.systemItem(Item.incompleteFile) {
            throw table.damaged(incomplete, "says that the file was never finished")
        }
        if let unknown = table.entries.first(where: { !$0.isUser && $0.isRequired && !Item.known.contains($0.guid) }) {
            throw DiskError(
                .unsupportedFeature,
                "metadata: item \(unknown.guid.windowsText) is not known and marked as required; "
                    + "a newer program has made this image",
                path: path
            )
        }
    }

    private mutating func checkNumbers(_ path: String) throws(DiskError) {
        guard blockSize.nonzeroBitCount == 1, blockSize >= 1 << 20, blockSize <= 256 << 20 else {
            throw DiskError(
                .invalidBlockSize,
                "metadata: block size is \(blockSize), expected a power of two from 1048576 to 268435456",
                path: path
            )
        }
        guard logicalSectorSize == 512 || logicalSectorSize == 4096 else {
            throw DiskError(
                .unsupportedFeature,
                "metadata: logical sector size is \(logicalSectorSize), expected 512 or 4096",
                path: path
            )
        }
        if physicalSectorSize != 512, physicalSectorSize != 4096 {
            warnings.append("the physical sector size is \(physicalSectorSize), expected 512 or 4096")
        }
        guard size > 0, size % logicalSectorSize == 0, size <= Self.sizeLimit else {
            throw DiskError(
                .invalidSize,
                "metadata: virtual disk size is \(size), expected a multiple of \(logicalSectorSize) up to \(Self.sizeLimit)",
                path: path
            )
        }
    }

    /// Finds items and takes numbers out of them.
    private struct Items {
        let table: MetadataTable
        let path: String

        func required(_ guid: GUID?, _ name: String, count: UInt32) throws(DiskError) -> [UInt8] {
            guard let entry = table.systemItem(guid) else {
                throw DiskError(.fileCorrupt, "metadata: the item '\(name)' is missing", path: path)
            }
            guard entry.length == count else {
                throw table.damaged(entry, "(\(name)) has \(entry.length) bytes, expected \(count)")
            }
            return try table.content(of: entry)
        }

        func number32(_ bytes: [UInt8], at offset: Int) -> UInt32 {
            (try? bytes.load(UInt32.self, at: offset, .little)) ?? 0
        }

        func number64(_ bytes: [UInt8]) -> UInt64 {
            (try? bytes.load(UInt64.self, at: 0, .little)) ?? 0
        }
    }
}
