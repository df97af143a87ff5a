public import SystemPackage

/// Opens files of the host with the rights of those who ask for it.
///
/// A file's kind is looked at before it is opened for real, so that no FIFO blocks and no device reacts.
public protocol FileOpener: AnyObject, Sendable {
    /// Opens a file. It may take as long as a file server on its path takes; `cancellation` ends the wait at once, and closes what is
    /// opened too late.
    ///
    /// - Parameters:
    ///   - path: an absolute path, as the caller sees it.
    ///   - credentials: the caller's.
    func open(
        _ path: FilePath,
        _ purpose: OpenPurpose,
        as credentials: Credentials,
        cancellation: Cancellation?
    ) throws(OpenError) -> Descriptor

    /// Nothing more will be opened for now: lets go of what is kept ready for the next file.
    func rest()
}

extension FileOpener {
    /// Most keep nothing ready.
    public func rest() {}
}

/// What a file is opened for.
public enum OpenPurpose: Sendable, Hashable {
    /// To read a regular file; a block device too if that is said.
    case reading(allowBlockDevice: Bool = false)
    /// To read and write a regular file; a block device too if that is said.
    case readingAndWriting(allowBlockDevice: Bool = false)
    /// To list a directory.
    case listing
}

/// Why a file can't be opened.
public enum OpenError: Error, Sendable, Hashable {
    /// The last part of the path is not there (ERROR_FILE_NOT_FOUND).
    case fileNotFound
    /// A directory on the way is not there or no directory (ERROR_PATH_NOT_FOUND); so is every path that is not absolute.
    case pathNotFound
    /// It is not the kind of file that was asked for.
    case wrongKind(FileKind)
    /// The caller has stopped waiting.
    case cancelled
    /// The process that opens files for others has ended.
    case helperEnded
    /// The host refuses.
    case failed(Errno)
}

extension OpenError {
    /// The host's error number that says it best.
    public var errno: Errno {
        switch self {
        case .fileNotFound, .pathNotFound: .noSuchFileOrDirectory
        case .wrongKind(.directory): .isDirectory
        case .wrongKind: .invalidArgument
        case .cancelled: .interrupted
        case .helperEnded: .ioError
        case .failed(let errno): errno
        }
    }
}
