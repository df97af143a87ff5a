internal import ControlLanguage
internal import Glibc
internal import Platform
internal import SystemPackage
internal import VirtualDisk

extension Credentials {
    /// Whether this process is root's.
    static var isRoot: Bool { geteuid() == 0 }
}

extension AttachWords {
    /// Whether `readonly` is among them.
    var isReadOnly: Bool {
        get { AttachFlags(rawValue: flags).contains(.readOnly) }
        set {
            if newValue {
                flags |= AttachFlags.readOnly.rawValue
            } else {
                flags &= ~AttachFlags.readOnly.rawValue
            }
        }
    }
}

extension AttachError {
    /// What the system has refused, with the Windows code that comes closest.
    init(_ errno: Errno, _ text: String? = nil, path: FilePath) {
        let error: Win32Error =
            switch errno {
            case .noSuchFileOrDirectory, .notDirectory: .pathNotFound
            case .permissionDenied: .accessDenied
            case .notPermitted: .privilegeNotHeld
            case .noMemory, .resourceTemporarilyUnavailable, .tooManyOpenFiles, .tooManyOpenFilesInSystem:
                .notEnoughMemory
            case .resourceBusy: .sharingViolation
            case .socketNotConnected, .operationNotSupportedByDevice: .deviceDoesNotExist
            default: .operationAborted
            }
        let reason = errno.description
        self.init(error, text.map { "\($0): \(reason)" } ?? reason, path: path.string)
    }
}
