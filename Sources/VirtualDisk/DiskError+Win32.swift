public import BlockDevice
public import SystemPackage

extension Win32Error {
    /// The code that Windows gives for what a provider found (formats.md §0.1, CONTRACT.md §3.5).
    public init(_ kind: DiskError.Kind) {
        self =
            switch kind {
            case .notRecognized: .virtDiskProviderNotFound
            case .unsupportedVersion: .vhdFormatUnsupportedVersion
            case .unsupportedHeaderVersion: .vhdSparseHeaderUnsupportedVersion
            case .unsupportedFeature: .vhdInvalidType
            case .footerMissing: .vhdDriveFooterMissing
            case .footerChecksum: .vhdDriveFooterChecksumMismatch
            case .footerCorrupt: .vhdDriveFooterCorrupt
            case .headerChecksum: .vhdSparseHeaderChecksumMismatch
            case .headerCorrupt: .vhdSparseHeaderCorrupt
            case .allocationTableCorrupt: .vhdBlockAllocationTableCorrupt
            case .invalidBlockSize: .vhdInvalidBlockSize
            case .bitmapMismatch: .vhdBitmapMismatch
            case .invalidSize: .vhdInvalidSize
            case .fileCorrupt: .fileCorrupt
            case .truncated: .vhdInvalidFileSize
            case .limit: .virtualDiskLimitation
            case .parentNotFound: .vhdParentVHDNotFound
            case .parentAccess: .vhdParentVHDAccessDenied
            case .parentIDMismatch: .vhdChildParentIDMismatch
            case .parentSizeMismatch: .vhdChildParentSizeMismatch
            case .chainCycle: .vhdDifferencingChainCycleDetected
            case .errorInParent: .vhdDifferencingChainErrorInParent
            case .readOnly, .hasChildren: .writeProtect
            case .noSpace: .diskFull
            case .outOfRange: .invalidParameter
            case .io: .vhdMetadataReadFailure
            case .poisoned: .vhdMetadataWriteFailure
            case .interrupted: .operationAborted
            case .silent: .timeout
            case .gone: .deviceDoesNotExist
            }
    }
}

extension DiskError {
    /// The error number for a read or write of the disk that failed: damage that shows up only now is an I/O error.
    public var ioErrno: Errno {
        switch kind {
        case .noSpace, .outOfRange: .noSpace
        case .readOnly: .readOnlyFileSystem
        case .hasChildren: .notPermitted
        case .gone: .noSuchAddressOrDevice
        case .interrupted: .interrupted
        case .silent: .timedOut
        default: .ioError
        }
    }
}

extension AttachError {
    /// The answer to an attach that failed because of what is in a file.
    init(_ error: DiskError) {
        self.init(Win32Error(error.kind), error.text, path: error.path)
    }
}
