internal import Glibc

// Codes of winerror.h that the virtual disk functions answer with. One errno can stand for several codes.
extension Win32Error {
    /// The file is missing.
    public static let fileNotFound = Win32Error("ERROR_FILE_NOT_FOUND", 2, ENOENT)
    /// A directory of the path is missing, or the path can't be resolved.
    public static let pathNotFound = Win32Error("ERROR_PATH_NOT_FOUND", 3, ENOENT)
    /// The rights on the file, or those of the handle, refuse it.
    public static let accessDenied = Win32Error("ERROR_ACCESS_DENIED", 5, EACCES)
    /// The handle is dead.
    public static let invalidHandle = Win32Error("ERROR_INVALID_HANDLE", 6, EBADF)
    /// There is not enough memory.
    public static let notEnoughMemory = Win32Error("ERROR_NOT_ENOUGH_MEMORY", 8, ENOMEM)
    /// There is not enough memory.
    public static let outOfMemory = Win32Error("ERROR_OUTOFMEMORY", 14, ENOMEM)
    /// Read/write was asked for where only reading is possible.
    public static let writeProtect = Win32Error("ERROR_WRITE_PROTECT", 19, EROFS)
    /// The disk of this handle is in the wrong state.
    public static let badCommand = Win32Error("ERROR_BAD_COMMAND", 22, EBUSY)
    /// The file or disk is in use in a way that excludes this one.
    public static let sharingViolation = Win32Error("ERROR_SHARING_VIOLATION", 32, EBUSY)
    /// This can't be done with this kind of image.
    public static let notSupported = Win32Error("ERROR_NOT_SUPPORTED", 50, EOPNOTSUPP)
    /// The disk is not attached, so it has no path.
    public static let deviceDoesNotExist = Win32Error("ERROR_DEV_NOT_EXIST", 55, ENXIO)
    /// The file to create is already there.
    public static let fileExists = Win32Error("ERROR_FILE_EXISTS", 80, EEXIST)
    /// A request or an argument of it is wrong.
    public static let invalidParameter = Win32Error("ERROR_INVALID_PARAMETER", 87, EINVAL)
    /// The host file system is full.
    public static let diskFull = Win32Error("ERROR_DISK_FULL", 112, ENOSPC)
    /// There is no such function.
    public static let callNotImplemented = Win32Error("ERROR_CALL_NOT_IMPLEMENTED", 120, ENOSYS)
    /// The buffer is too small.
    public static let insufficientBuffer = Win32Error("ERROR_INSUFFICIENT_BUFFER", 122, ERANGE)
    /// The name of the attachment is taken.
    public static let alreadyExists = Win32Error("ERROR_ALREADY_EXISTS", 183, EEXIST)
    /// The buffer is too small for all of it.
    public static let moreData = Win32Error("ERROR_MORE_DATA", 234, ERANGE)
    /// The image file is compressed (older Windows; `virtualDiskLimitation` elsewhere).
    public static let unsupportedCompression = Win32Error("ERROR_UNSUPPORTED_COMPRESSION", 618, EOPNOTSUPP)
    /// The host file system is unfit.
    public static let fileSystemLimitation = Win32Error("ERROR_FILE_SYSTEM_LIMITATION", 665, EOPNOTSUPP)
    /// The operation was interrupted, as by a signal to its caller; nothing of it stays.
    public static let operationAborted = Win32Error("ERROR_OPERATION_ABORTED", 995, EINTR)
    /// The operation is still running; not a failure.
    public static let ioPending = Win32Error("ERROR_IO_PENDING", 997, EINPROGRESS)
    /// There is no such attachment.
    public static let notFound = Win32Error("ERROR_NOT_FOUND", 1168, ENXIO)
    /// The caller may neither attach nor detach.
    public static let privilegeNotHeld = Win32Error("ERROR_PRIVILEGE_NOT_HELD", 1314, EPERM)
    /// The host has not answered for long.
    public static let timeout = Win32Error("ERROR_TIMEOUT", 1460, ETIMEDOUT)
    /// A security identifier stands for no user and no group here.
    public static let invalidSID = Win32Error("ERROR_INVALID_SID", 1337, EINVAL)
    /// The content is no image, or a damaged one.
    public static let fileCorrupt = Win32Error("ERROR_FILE_CORRUPT", 1392, EUCLEAN)
    /// The image file is encrypted (older Windows; `virtualDiskLimitation` elsewhere).
    public static let fileEncrypted = Win32Error("ERROR_FILE_ENCRYPTED", 6002, EOPNOTSUPP)

    static let general: [Win32Error] = [
        .fileNotFound,
        .pathNotFound,
        .accessDenied,
        .invalidHandle,
        .notEnoughMemory,
        .outOfMemory,
        .writeProtect,
        .badCommand,
        .sharingViolation,
        .notSupported,
        .deviceDoesNotExist,
        .fileExists,
        .invalidParameter,
        .diskFull,
        .callNotImplemented,
        .insufficientBuffer,
        .alreadyExists,
        .moreData,
        .unsupportedCompression,
        .fileSystemLimitation,
        .operationAborted,
        .ioPending,
        .notFound,
        .privilegeNotHeld,
        .invalidSID,
        .fileCorrupt,
        .timeout,
        .fileEncrypted,
    ]
}
