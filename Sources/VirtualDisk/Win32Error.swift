public import SystemPackage

/// A Win32 error code, and the errno that the kernel can carry instead.
public struct Win32Error: Hashable, Sendable {
    /// The name in winerror.h, as `ERROR_SHARING_VIOLATION`.
    public let name: String
    /// The Win32 code.
    public let code: UInt32
    /// What a system call answers; always 1 to 511, the range of FUSE.
    public let errno: Errno

    init(_ name: String, _ code: UInt32, _ errno: CInt) {
        self.name = name
        self.code = code
        self.errno = Errno(rawValue: errno)
    }

    /// Every error: the general ones, then those of virtual disks, in the order of winerror.h.
    public static let all = general + virtualDisk

    /// Finds an error by its code.
    public init?(code: UInt32) {
        guard let found = Self.all.first(where: { $0.code == code }) else { return nil }
        self = found
    }
}
