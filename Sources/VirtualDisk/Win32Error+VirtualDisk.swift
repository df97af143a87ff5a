internal import Glibc

// Facility 0x03A (FACILITY_USERMODE_VHD) of winerror.h, complete.
extension Win32Error {
    /// The footer of a VHD is not there.
    public static let vhdDriveFooterMissing = Win32Error("ERROR_VHD_DRIVE_FOOTER_MISSING", 0xC03A_0001, EUCLEAN)
    /// The footer of a VHD has a wrong checksum.
    public static let vhdDriveFooterChecksumMismatch = Win32Error(
        "ERROR_VHD_DRIVE_FOOTER_CHECKSUM_MISMATCH",
        0xC03A_0002,
        EBADMSG
    )
    /// The footer of a VHD has illegal fields, or ones that contradict each other.
    public static let vhdDriveFooterCorrupt = Win32Error("ERROR_VHD_DRIVE_FOOTER_CORRUPT", 0xC03A_0003, EUCLEAN)
    /// The signature of the image is not a known one.
    public static let vhdFormatUnknown = Win32Error("ERROR_VHD_FORMAT_UNKNOWN", 0xC03A_0004, EMEDIUMTYPE)
    /// The version of the format is not supported.
    public static let vhdFormatUnsupportedVersion = Win32Error(
        "ERROR_VHD_FORMAT_UNSUPPORTED_VERSION",
        0xC03A_0005,
        EPROTONOSUPPORT
    )
    /// The header of a dynamic VHD has a wrong checksum.
    public static let vhdSparseHeaderChecksumMismatch = Win32Error(
        "ERROR_VHD_SPARSE_HEADER_CHECKSUM_MISMATCH",
        0xC03A_0006,
        EBADMSG
    )
    /// The version of a dynamic VHD's header is not supported.
    public static let vhdSparseHeaderUnsupportedVersion = Win32Error(
        "ERROR_VHD_SPARSE_HEADER_UNSUPPORTED_VERSION",
        0xC03A_0007,
        EPROTONOSUPPORT
    )
    /// The header of a dynamic VHD is illegal.
    public static let vhdSparseHeaderCorrupt = Win32Error("ERROR_VHD_SPARSE_HEADER_CORRUPT", 0xC03A_0008, EUCLEAN)
    /// A write needed a new block, and none could be had.
    public static let vhdBlockAllocationFailure = Win32Error("ERROR_VHD_BLOCK_ALLOCATION_FAILURE", 0xC03A_0009, ENOSPC)
    /// The block allocation table is illegal.
    public static let vhdBlockAllocationTableCorrupt = Win32Error(
        "ERROR_VHD_BLOCK_ALLOCATION_TABLE_CORRUPT",
        0xC03A_000A,
        EUCLEAN
    )
    /// The block size is not acceptable.
    public static let vhdInvalidBlockSize = Win32Error("ERROR_VHD_INVALID_BLOCK_SIZE", 0xC03A_000B, EUCLEAN)
    /// A sector bitmap disagrees with its block.
    public static let vhdBitmapMismatch = Win32Error("ERROR_VHD_BITMAP_MISMATCH", 0xC03A_000C, EUCLEAN)
    /// No locator leads to the parent.
    public static let vhdParentVHDNotFound = Win32Error("ERROR_VHD_PARENT_VHD_NOT_FOUND", 0xC03A_000D, ENOLINK)
    /// The parent is not the one that the child recorded.
    public static let vhdChildParentIDMismatch = Win32Error("ERROR_VHD_CHILD_PARENT_ID_MISMATCH", 0xC03A_000E, ESTALE)
    /// The parent was changed after the child was made; a warning only.
    public static let vhdChildParentTimeStampMismatch = Win32Error(
        "ERROR_VHD_CHILD_PARENT_TIMESTAMP_MISMATCH",
        0xC03A_000F,
        ESTALE
    )
    /// The host failed to read the image's structures.
    public static let vhdMetadataReadFailure = Win32Error("ERROR_VHD_METADATA_READ_FAILURE", 0xC03A_0010, EIO)
    /// The host failed to write the image's structures.
    public static let vhdMetadataWriteFailure = Win32Error("ERROR_VHD_METADATA_WRITE_FAILURE", 0xC03A_0011, EIO)
    /// The virtual size is illegal.
    public static let vhdInvalidSize = Win32Error("ERROR_VHD_INVALID_SIZE", 0xC03A_0012, EUCLEAN)
    /// The length of the image file is illegal, as of one that was cut short.
    public static let vhdInvalidFileSize = Win32Error("ERROR_VHD_INVALID_FILE_SIZE", 0xC03A_0013, EUCLEAN)
    /// The content is none of the known formats.
    public static let virtDiskProviderNotFound = Win32Error("ERROR_VIRTDISK_PROVIDER_NOT_FOUND", 0xC03A_0014, ENODEV)
    /// The object is of a kind that can't hold an image.
    public static let virtDiskNotVirtualDisk = Win32Error("ERROR_VIRTDISK_NOT_VIRTUAL_DISK", 0xC03A_0015, ENOTBLK)
    /// The caller may not open the parent.
    public static let vhdParentVHDAccessDenied = Win32Error("ERROR_VHD_PARENT_VHD_ACCESS_DENIED", 0xC03A_0016, EACCES)
    /// Sizes of child and parent don't fit together.
    public static let vhdChildParentSizeMismatch = Win32Error(
        "ERROR_VHD_CHILD_PARENT_SIZE_MISMATCH",
        0xC03A_0017,
        ESTALE
    )
    /// A disk is its own ancestor.
    public static let vhdDifferencingChainCycleDetected = Win32Error(
        "ERROR_VHD_DIFFERENCING_CHAIN_CYCLE_DETECTED",
        0xC03A_0018,
        ELOOP
    )
    /// An ancestor can't be opened, or there are too many.
    public static let vhdDifferencingChainErrorInParent = Win32Error(
        "ERROR_VHD_DIFFERENCING_CHAIN_ERROR_IN_PARENT",
        0xC03A_0019,
        EREMOTEIO
    )
    /// The host file is unsuitable (compressed, encrypted), or the image exceeds a limit.
    public static let virtualDiskLimitation = Win32Error("ERROR_VIRTUAL_DISK_LIMITATION", 0xC03A_001A, EOPNOTSUPP)
    /// The kind of the disk doesn't allow it, or isn't supported.
    public static let vhdInvalidType = Win32Error("ERROR_VHD_INVALID_TYPE", 0xC03A_001B, EOPNOTSUPP)
    /// The present state of the disk doesn't allow it.
    public static let vhdInvalidState = Win32Error("ERROR_VHD_INVALID_STATE", 0xC03A_001C, EBUSY)
    /// The sector size of the hosting disk is not supported.
    public static let virtDiskUnsupportedDiskSectorSize = Win32Error(
        "ERROR_VIRTDISK_UNSUPPORTED_DISK_SECTOR_SIZE",
        0xC03A_001D,
        EOPNOTSUPP
    )
    /// The source disk is owned by someone else.
    public static let virtDiskDiskAlreadyOwned = Win32Error("ERROR_VIRTDISK_DISK_ALREADY_OWNED", 0xC03A_001E, EBUSY)
    /// The source disk must be offline or read-only first.
    public static let virtDiskDiskOnlineAndWritable = Win32Error(
        "ERROR_VIRTDISK_DISK_ONLINE_AND_WRITABLE",
        0xC03A_001F,
        EBUSY
    )
    /// Change tracking was never set up.
    public static let ctLogTrackingNotInitialized = Win32Error(
        "ERROR_CTLOG_TRACKING_NOT_INITIALIZED",
        0xC03A_0020,
        ENODATA
    )
    /// The log of change tracking is too big.
    public static let ctLogLogFileSizeExceededMaxSize = Win32Error(
        "ERROR_CTLOG_LOGFILE_SIZE_EXCEEDED_MAXSIZE",
        0xC03A_0021,
        EFBIG
    )
    /// The image was changed without being tracked.
    public static let ctLogVHDChangedOffline = Win32Error("ERROR_CTLOG_VHD_CHANGED_OFFLINE", 0xC03A_0022, ESTALE)
    /// Change tracking is not in the state that this needs.
    public static let ctLogInvalidTrackingState = Win32Error(
        "ERROR_CTLOG_INVALID_TRACKING_STATE",
        0xC03A_0023,
        EALREADY
    )
    /// The file of change tracking is damaged.
    public static let ctLogInconsistentTrackingFile = Win32Error(
        "ERROR_CTLOG_INCONSISTENT_TRACKING_FILE",
        0xC03A_0024,
        EUCLEAN
    )
    /// Shrinking could cut off data.
    public static let vhdResizeWouldTruncateData = Win32Error(
        "ERROR_VHD_RESIZE_WOULD_TRUNCATE_DATA",
        0xC03A_0025,
        ERANGE
    )
    /// Without a usable partition table no smallest size is known.
    public static let vhdCouldNotComputeMinimumVirtualSize = Win32Error(
        "ERROR_VHD_COULD_NOT_COMPUTE_MINIMUM_VIRTUAL_SIZE",
        0xC03A_0026,
        ENODATA
    )
    /// The disk can't shrink further.
    public static let vhdAlreadyAtOrBelowMinimumVirtualSize = Win32Error(
        "ERROR_VHD_ALREADY_AT_OR_BELOW_MINIMUM_VIRTUAL_SIZE",
        0xC03A_0027,
        EALREADY
    )
    /// The image has no room for the metadata item.
    public static let vhdMetadataFull = Win32Error("ERROR_VHD_METADATA_FULL", 0xC03A_0028, ENOSPC)
    /// The change tracking id is malformed or unknown.
    public static let vhdInvalidChangeTrackingID = Win32Error(
        "ERROR_VHD_INVALID_CHANGE_TRACKING_ID",
        0xC03A_0029,
        EINVAL
    )
    /// Change tracking is off for this disk.
    public static let vhdChangeTrackingDisabled = Win32Error(
        "ERROR_VHD_CHANGE_TRACKING_DISABLED",
        0xC03A_002A,
        EOPNOTSUPP
    )
    /// The change tracking id is right, but its data is gone.
    public static let vhdMissingChangeTrackingInformation = Win32Error(
        "ERROR_VHD_MISSING_CHANGE_TRACKING_INFORMATION",
        0xC03A_0030,
        ENODATA
    )
    /// The storage subsystem failed.
    public static let queryStorageError = Win32Error("ERROR_QUERY_STORAGE_ERROR", 0x803A_0001, EIO)

    static let virtualDisk: [Win32Error] = [
        .vhdDriveFooterMissing,
        .vhdDriveFooterChecksumMismatch,
        .vhdDriveFooterCorrupt,
        .vhdFormatUnknown,
        .vhdFormatUnsupportedVersion,
        .vhdSparseHeaderChecksumMismatch,
        .vhdSparseHeaderUnsupportedVersion,
        .vhdSparseHeaderCorrupt,
        .vhdBlockAllocationFailure,
        .vhdBlockAllocationTableCorrupt,
        .vhdInvalidBlockSize,
        .vhdBitmapMismatch,
        .vhdParentVHDNotFound,
        .vhdChildParentIDMismatch,
        .vhdChildParentTimeStampMismatch,
        .vhdMetadataReadFailure,
        .vhdMetadataWriteFailure,
        .vhdInvalidSize,
        .vhdInvalidFileSize,
        .virtDiskProviderNotFound,
        .virtDiskNotVirtualDisk,
        .vhdParentVHDAccessDenied,
        .vhdChildParentSizeMismatch,
        .vhdDifferencingChainCycleDetected,
        .vhdDifferencingChainErrorInParent,
        .virtualDiskLimitation,
        .vhdInvalidType,
        .vhdInvalidState,
        .virtDiskUnsupportedDiskSectorSize,
        .virtDiskDiskAlreadyOwned,
        .virtDiskDiskOnlineAndWritable,
        .ctLogTrackingNotInitialized,
        .ctLogLogFileSizeExceededMaxSize,
        .ctLogVHDChangedOffline,
        .ctLogInvalidTrackingState,
        .ctLogInconsistentTrackingFile,
        .vhdResizeWouldTruncateData,
        .vhdCouldNotComputeMinimumVirtualSize,
        .vhdAlreadyAtOrBelowMinimumVirtualSize,
        .vhdMetadataFull,
        .vhdInvalidChangeTrackingID,
        .vhdChangeTrackingDisabled,
        .vhdMissingChangeTrackingInformation,
        .queryStorageError,
    ]
}
