public import BlockDevice
internal import Glibc
internal import Platform

/// Opens a file of the host as images' files are opened.
public func openFile(_ path: String, writable: Bool) throws -> PosixFile {
    let descriptor = unsafe open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC)
    guard descriptor >= 0 else { throw TestSupportError("open \(path): errno \(errno)") }
    return PosixFile(Descriptor(owning: descriptor), path: path)
}
