public import BlockDevice
public import ByteIO

/// How a differencing VHD names its parent.
public struct VHDParentReference: Sendable {
    /// The unique id that the parent must have.
    public let uniqueID: GUID
    /// When the parent was changed last: seconds since 2000, or 0 when the child does not say (Windows today).
    public let timestamp: UInt32
    /// Where it may be, in the order in which they are to be tried.
    public let paths: [ParentPath]

    init(_ header: DynamicHeader) {
        uniqueID = header.parentID
        timestamp = header.parentTimestamp
        func texts(_ code: UInt32) -> [String] {
            header.locators.filter { $0.platformCode == code && !$0.text.isEmpty }.map(\.text)
        }
        paths =
            texts(ParentLocator.relativeWindowsPath).map(ParentPath.relative)
            + texts(ParentLocator.absoluteWindowsPath).map(ParentPath.absolute)
            + texts(ParentLocator.macURL).map(ParentPath.url)
            + (header.parentName.isEmpty ? [] : [.name(header.parentName)])
    }
}
