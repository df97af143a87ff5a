import SystemPackage
import Testing
import VirtualDisk

@Suite struct Win32ErrorTests {
    /// Code, errno on Linux, and name, from winerror.h and the decisions on errno; not from the code that is tested.
    private static let table = """
                 2   2 ERROR_FILE_NOT_FOUND
                 3   2 ERROR_PATH_NOT_FOUND
                 5  13 ERROR_ACCESS_DENIED
                 6   9 ERROR_INVALID_HANDLE
                 8  12 ERROR_NOT_ENOUGH_MEMORY
                14  12 ERROR_OUTOFMEMORY
                19  30 ERROR_WRITE_PROTECT
                22  16 ERROR_BAD_COMMAND
                32  16 ERROR_SHARING_VIOLATION
                50  95 ERROR_NOT_SUPPORTED
                55   6 ERROR_DEV_NOT_EXIST
                80  17 ERROR_FILE_EXISTS
                87  22 ERROR_INVALID_PARAMETER
               112  28 ERROR_DISK_FULL
               120  38 ERROR_CALL_NOT_IMPLEMENTED
               122  34 ERROR_INSUFFICIENT_BUFFER
               183  17 ERROR_ALREADY_EXISTS
               234  34 ERROR_MORE_DATA
               618  95 ERROR_UNSUPPORTED_COMPRESSION
               665  95 ERROR_FILE_SYSTEM_LIMITATION
               995   4 ERROR_OPERATION_ABORTED
               997 115 ERROR_IO_PENDING
              1168   6 ERROR_NOT_FOUND
              1314   1 ERROR_PRIVILEGE_NOT_HELD
              1337  22 ERROR_INVALID_SID
              1392 117 ERROR_FILE_CORRUPT
              1460 110 ERROR_TIMEOUT
              6002  95 ERROR_FILE_ENCRYPTED
        3225026561 117 ERROR_VHD_DRIVE_FOOTER_MISSING
        3225026562  74 ERROR_VHD_DRIVE_FOOTER_CHECKSUM_MISMATCH
        3225026563 117 ERROR_VHD_DRIVE_FOOTER_CORRUPT
        3225026564 124 ERROR_VHD_FORMAT_UNKNOWN
        3225026565  93 ERROR_VHD_FORMAT_UNSUPPORTED_VERSION
        3225026566  74 ERROR_VHD_SPARSE_HEADER_CHECKSUM_MISMATCH
        3225026567  93 ERROR_VHD_SPARSE_HEADER_UNSUPPORTED_VERSION
        3225026568 117 ERROR_VHD_SPARSE_HEADER_CORRUPT
        3225026569  28 ERROR_VHD_BLOCK_ALLOCATION_FAILURE
        3225026570 117 ERROR_VHD_BLOCK_ALLOCATION_TABLE_CORRUPT
        3225026571 117 ERROR_VHD_INVALID_BLOCK_SIZE
        3225026572 117 ERROR_VHD_BITMAP_MISMATCH
        3225026573  67 ERROR_VHD_PARENT_VHD_NOT_FOUND
        3225026574 116 ERROR_VHD_CHILD_PARENT_ID_MISMATCH
        3225026575 116 ERROR_VHD_CHILD_PARENT_TIMESTAMP_MISMATCH
        3225026576   5 ERROR_VHD_METADATA_READ_FAILURE
        3225026577   5 ERROR_VHD_METADATA_WRITE_FAILURE
        3225026578 117 ERROR_VHD_INVALID_SIZE
        3225026579 117 ERROR_VHD_INVALID_FILE_SIZE
        3225026580  19 ERROR_VIRTDISK_PROVIDER_NOT_FOUND
        3225026581  15 ERROR_VIRTDISK_NOT_VIRTUAL_DISK
        3225026582  13 ERROR_VHD_PARENT_VHD_ACCESS_DENIED
        3225026583 116 ERROR_VHD_CHILD_PARENT_SIZE_MISMATCH
        3225026584  40 ERROR_VHD_DIFFERENCING_CHAIN_CYCLE_DETECTED
        3225026585 121 ERROR_VHD_DIFFERENCING_CHAIN_ERROR_IN_PARENT
        3225026586  95 ERROR_VIRTUAL_DISK_LIMITATION
        3225026587  95 ERROR_VHD_INVALID_TYPE
        3225026588  16 ERROR_VHD_INVALID_STATE
        3225026589  95 ERROR_VIRTDISK_UNSUPPORTED_DISK_SECTOR_SIZE
        3225026590  16 ERROR_VIRTDISK_DISK_ALREADY_OWNED
        3225026591  16 ERROR_VIRTDISK_DISK_ONLINE_AND_WRITABLE
        3225026592  61 ERROR_CTLOG_TRACKING_NOT_INITIALIZED
        3225026593  27 ERROR_CTLOG_LOGFILE_SIZE_EXCEEDED_MAXSIZE
        3225026594 116 ERROR_CTLOG_VHD_CHANGED_OFFLINE
        3225026595 114 ERROR_CTLOG_INVALID_TRACKING_STATE
        3225026596 117 ERROR_CTLOG_INCONSISTENT_TRACKING_FILE
        3225026597  34 ERROR_VHD_RESIZE_WOULD_TRUNCATE_DATA
        3225026598  61 ERROR_VHD_COULD_NOT_COMPUTE_MINIMUM_VIRTUAL_SIZE
        3225026599 114 ERROR_VHD_ALREADY_AT_OR_BELOW_MINIMUM_VIRTUAL_SIZE
        3225026600  28 ERROR_VHD_METADATA_FULL
        3225026601  22 ERROR_VHD_INVALID_CHANGE_TRACKING_ID
        3225026602  95 ERROR_VHD_CHANGE_TRACKING_DISABLED
        3225026608  61 ERROR_VHD_MISSING_CHANGE_TRACKING_INFORMATION
        2151284737   5 ERROR_QUERY_STORAGE_ERROR
        """

    @Test func everyRowIsAsDecided() {
        let rows = Win32Error.all.map { "\($0.code) \($0.errno.rawValue) \($0.name)" }
        let expected = Self.table.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
        #expect(rows.count == 72)
        for (row, expected) in zip(rows, expected) {
            #expect(row == expected)
        }
        #expect(rows.count == expected.count)
    }

    /// The kernel drops an answer with any other errno, and the caller hangs.
    @Test func theKernelCanCarryEveryErrno() {
        #expect(Win32Error.all.allSatisfy { (1...511).contains($0.errno.rawValue) })
    }

    @Test func everyCodeLeadsToItsError() {
        for error in Win32Error.all {
            #expect(Win32Error(code: error.code) == error)
        }
        #expect(Win32Error(code: 0) == nil)
        #expect(Win32Error(code: 0xC03A_002B) == nil)
    }

    @Test func membersAreWhatTheirNamesSay() {
        #expect(Win32Error.sharingViolation.code == 32)
        #expect(Win32Error.writeProtect.errno == .readOnlyFileSystem)
        #expect(Win32Error.operationAborted.errno == .interrupted)
        #expect(Win32Error.virtDiskProviderNotFound.code == 0xC03A_0014)
        #expect(Win32Error.vhdParentVHDNotFound.name == "ERROR_VHD_PARENT_VHD_NOT_FOUND")
    }

    @Test func attachErrorsReadAsTheCommandPrintsThem() {
        let error = AttachError(.sharingViolation, "already attached as a", path: "/img/a.vhd")
        #expect(error.description == "/img/a.vhd: already attached as a (ERROR_SHARING_VIOLATION, 32)")
        #expect(error.explanation == "/img/a.vhd: already attached as a")
        #expect(error.at("/other") == error)
        let bare = AttachError(.notFound, "nothing of that name is attached")
        #expect(bare.description == "nothing of that name is attached (ERROR_NOT_FOUND, 1168)")
        #expect(bare.at("/x").path == "/x")
    }
}
