public import BlockDevice

extension VHDXImage {
    /// How a file names its parent; nil if it has none. Looks at everything but the block allocation table, so that many files can be asked.
    public static func parent(of file: any HostFile) throws(DiskError) -> VHDXParentReference? {
        try OpenedFile(file, isWritable: false).metadata.parent
    }
}
