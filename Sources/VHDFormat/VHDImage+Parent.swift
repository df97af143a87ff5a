public import BlockDevice

extension VHDImage {
    /// How a file names its parent; nil if it has none. Looks at the footer and the dynamic header only, so that many files can be asked.
    public static func parent(of file: any HostFile) throws(DiskError) -> VHDParentReference? {
        guard let footer = try FooterChoice.find(in: file)?.footer, footer.diskType == .differencing else { return nil }
        return VHDParentReference(try DynamicHeader(of: footer, in: file))
    }
}
