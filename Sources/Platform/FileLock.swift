internal import CPlatform
internal import Glibc
public import SystemPackage

/// A lock on an image file, against other processes that attach it and against QEMU and its tools. Given up by `release`, at the
/// latest when the last reference goes.
///
/// It is made of advisory locks that belong to the open file, not to the process: `flock`, for programs that know only that; one
/// byte far behind every image, among ourselves (and where `flock` would lock the very bytes that QEMU looks at); and QEMU's bytes
/// (`ImageBytes`). One open file has one lock at a time.
public final class FileLock: Sendable {
    /// What the lock keeps away.
    public enum Kind: Sendable, Hashable {
        /// For reading, as a disk or as a parent of one: keeps writers away.
        case shared
        /// For writing: keeps everybody away. The file must be open for writing.
        case exclusive
    }

    /// The file that is locked; it stays open as long as this lock.
    public let file: Descriptor
    private let isHeld = Locked(true)

    /// Locks a file now or not at all.
    public static func acquire(_ kind: Kind, on file: Descriptor) throws(FileLockError) -> FileLock {
        // Made first, so that what has been locked is given up on every way out.
        let lock = FileLock(file)
        do throws(Errno) {
            try lock.set(kind)
            for byte in ImageBytes.locked(for: kind) { try lock.set(byte, .shared) }
            // After our own bytes are locked: of two who come at once, at least one sees the other.
            for byte in ImageBytes.refused(for: kind) where try lock.isLocked(byte) {
                throw Errno.wouldBlock
            }
        } catch {
            lock.release()
            throw FileLockError(error, file)
        }
        return lock
    }

    private init(_ file: Descriptor) {
        self.file = file
    }

    deinit {
        release()
    }

    /// Lets readers in; for a lock that was exclusive.
    ///
    /// - Throws: `busy` when another took the file in the moment between; nothing is locked then.
    public func downgrade() throws(FileLockError) {
        do throws(Errno) {
            try set(.shared)
            let kept = ImageBytes.locked(for: .shared)
            for byte in ImageBytes.locked(for: .exclusive) where !kept.contains(byte) { try set(byte, nil) }
        } catch {
            release()
            throw FileLockError(error, file)
        }
    }

    /// Gives everything up. Once is enough, more do no harm.
    public func release() {
        // Only once: the file may have another lock by now.
        let wasHeld = isHeld.withLock { isHeld in
            defer { isHeld = false }
            return isHeld
        }
        guard wasHeld else { return }
        for byte in ImageBytes.locked(for: .exclusive) { try? set(byte, nil) }
        try? set(Self.ownByte, nil)
        flock(file.rawValue, LOCK_UN)
    }

    // Any byte would do that no program reads or locks: "vhdfs" as a number, behind the end of every image.
    private static let ownByte: Int64 = 0x76_6864_6673

    private func set(_ kind: Kind) throws(Errno) {
        if try retrying({ platform_flock_locks_bytes(file.rawValue) }) == 0 {
            let operation = kind == .exclusive ? LOCK_EX : LOCK_SH
            _ = try retrying { flock(file.rawValue, operation | LOCK_NB) }
        }
        try set(Self.ownByte, kind)
    }

    private func set(_ byte: Int64, _ kind: Kind?) throws(Errno) {
        let code: CInt =
            switch kind {
            case nil: -1
            case .shared: 0
            case .exclusive: 1
            }
        _ = try retrying { platform_lock(file.rawValue, byte, code) }
    }

    private func isLocked(_ byte: Int64) throws(Errno) -> Bool {
        try retrying { platform_is_locked(file.rawValue, byte) } != 0
    }
}

/// The bytes by which QEMU tells others what it does with an image (`block/file-posix.c`): who uses a permission has a shared lock on
/// byte 100 + permission, who does not want others to use it one on byte 200 + permission; nobody locks them exclusively.
private enum ImageBytes {
    private static let consistentRead: Int64 = 0
    private static let write: Int64 = 1
    private static let resize: Int64 = 3

    private static func used(_ permission: Int64) -> Int64 { 100 + permission }
    private static func unshared(_ permission: Int64) -> Int64 { 200 + permission }

    static func locked(for kind: FileLock.Kind) -> [Int64] {
        let shared = [used(consistentRead), unshared(write), unshared(resize)]
        // Tools that read a raw image mind no writer: it is the writer that has to mind them.
        return kind == .shared ? shared : shared + [used(write), used(resize), unshared(consistentRead)]
    }

    static func refused(for kind: FileLock.Kind) -> [Int64] {
        let shared = [unshared(consistentRead), used(write), used(resize)]
        return kind == .shared ? shared : shared + [unshared(write), unshared(resize), used(consistentRead)]
    }
}

/// Why a file can't be locked.
public enum FileLockError: Error, Sendable, Hashable {
    /// Others use it; those who could be found out, this process not among them.
    case busy(holders: [FileHolder])
    /// The host's file system has no locks: nothing keeps others away.
    case unsupported
    /// The host refuses.
    case failed(Errno)

    init(_ error: Errno, _ file: Descriptor) {
        switch error {
        case .wouldBlock, .resourceTemporarilyUnavailable, .permissionDenied:
            let identity = try? file.status().identity
            self = .busy(holders: identity.map { FileHolders.holding($0) } ?? [])
        case .noLocks, .notSupportedOnSocket, .notSupported, .noFunction:
            self = .unsupported
        default:
            self = .failed(error)
        }
    }
}
