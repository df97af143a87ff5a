public import BlockDevice

/// An open VHD file of any kind.
public protocol VHDLayer: WritableImageLayer {
    /// What the file says about itself.
    var facts: VHDFacts { get }
}

/// What a VHD file says about itself.
public struct VHDFacts: Sendable {
    /// The footer that counts.
    public let footer: Footer
    /// Data bytes of a block; 0 for a fixed disk.
    public let blockSize: UInt64
    /// How a differencing disk names its parent.
    public let parent: VHDParentReference?
    /// What a user should know, in words.
    public let warnings: [String]
}

/// How a VHD file is to be opened.
public struct VHDOpenOptions: Sendable {
    /// The disk will be written to: what can only be read is refused.
    public var writable: Bool

    /// Makes options.
    public init(writable: Bool = false) {
        self.writable = writable
    }
}

/// Opens VHD files (Virtual Hard Disk Image Format Specification, version 1).
public enum VHDImage {
    /// The largest dynamic or differencing disk: 2,040 GiB.
    public static let dynamicSizeLimit: UInt64 = 2040 << 30

    /// How a file shows that it is a VHD.
    public enum Recognition: Sendable {
        /// The last 512 bytes are a good footer: nothing else can be meant.
        case tail
        /// A 511-byte footer, or a good copy at offset 0 of a disk with a good dynamic header.
        case substitute
        /// There are cookies, but nothing that can be trusted.
        case damaged
        /// Nothing.
        case none
    }

    /// Decides by structure whether a file is a VHD, in an order that a guest can't steer (formats.md §1).
    public static func recognize(_ file: any HostFile) throws(DiskError) -> Recognition {
        if try FooterChoice.hasGoodTail(file) { return .tail }
        do {
            return try FooterChoice.find(in: file) == nil ? .none : .substitute
        } catch {
            guard [.footerChecksum, .footerMissing, .footerCorrupt, .unsupportedFeature].contains(error.kind) else {
                throw error
            }
            return .damaged
        }
    }

    /// Opens one file. Reads the footers, the header and the block allocation table; changes nothing.
    ///
    /// Throws what `formats.md` §6.1 says for damaged files; `footerMissing` where there is no trace of a VHD.
    public static func open(
        _ file: any HostFile,
        options: VHDOpenOptions = VHDOpenOptions()
    ) throws(DiskError) -> any VHDLayer {
        guard let choice = try FooterChoice.find(in: file) else {
            throw DiskError(.footerMissing, "no VHD footer at the end of the file", path: file.path)
        }
        try check(choice.footer, file, options)
        switch choice.footer.diskType {
        case .fixed: return try FixedVHD(file, choice, options)
        case .dynamic, .differencing: return try DynamicVHD(file, choice, options)
        }
    }

    static func check(
        _ footer: Footer,
        _ file: any HostFile,
        _ options: VHDOpenOptions
    ) throws(DiskError) {
        guard footer.formatVersion >> 16 == 1 else {
            throw DiskError(
                .unsupportedVersion,
                "footer: format version is \(hex(footer.formatVersion)), expected 0x10000",
                path: file.path
            )
        }
        guard footer.currentSize > 0, footer.currentSize <= UInt64(Int64.max) else {
            throw DiskError(.invalidSize, "footer: current size is \(footer.currentSize) bytes", path: file.path)
        }
        guard footer.currentSize >= 512 else {
            throw DiskError(
                .invalidSize,
                "footer: current size is \(footer.currentSize) bytes, less than a sector",
                path: file.path
            )
        }
        guard options.writable else { return }
        if footer.formatVersion != 0x0001_0000 {
            throw readOnly(
                file,
                "its format version is \(hex(footer.formatVersion)), and only 0x10000 is known well enough"
            )
        }
        if footer.currentSize % 512 != 0 {
            throw readOnly(file, "its size of \(footer.currentSize) bytes is no multiple of 512")
        }
        if footer.savedState {
            throw DiskError(
                .unsupportedFeature,
                "a suspended virtual machine depends on this disk (saved state is set), and writing would break its resume; "
                    + "attach it readonly",
                path: file.path
            )
        }
    }

    static func readOnly(_ file: any HostFile, _ reason: String) -> DiskError {
        DiskError(.readOnly, "this image can only be attached readonly: \(reason)", path: file.path)
    }
}
