internal import CPlatform
internal import Glibc
public import SystemPackage

/// An open file of the host. It is closed when the last reference goes.
///
/// Calls may come from many threads at once: nothing here depends on the file position. Offsets and counts are bytes; offsets that the
/// host can't express are `EINVAL` for reads and `EFBIG` for writes. Signals never cut a call short.
public final class Descriptor: Sendable {
    /// The number, valid for as long as this object lives.
    public let rawValue: CInt

    /// Takes over a descriptor that is open and that nobody else closes.
    public init(owning rawValue: CInt) {
        self.rawValue = rawValue
    }

    /// Closes the file now, whoever still has a reference; the number stays taken, and every later call with it is `EBADF`.
    ///
    /// Calls that are running finish with the file. When there are no more descriptors to be had the file stays open.
    public func closeEarly() {
        // A descriptor that allows nothing takes the file's place in one step, so that nobody meets another file under this number.
        guard let nothing = try? Descriptor(opening: "/", flags: platform_O_PATH) else { return }
        _ = try? retrying { dup3(nothing.rawValue, rawValue, O_CLOEXEC) }
    }

    deinit {
        // Never repeated: Linux has freed the number even when close(2) reports an error.
        close(rawValue)
    }

    /// Opens a file of the host with the daemon's own rights; the descriptor is not inherited by programs that are started.
    ///
    /// - Parameters:
    ///   - path: relative paths start at the daemon's working directory.
    ///   - flags: `O_…` of open(2); `O_CLOEXEC` is added.
    ///   - mode: permission bits of a file that `O_CREAT` makes.
    public convenience init(opening path: FilePath, flags: CInt, mode: UInt32 = 0o600) throws(Errno) {
        let descriptor = try retrying {
            unsafe path.withPlatformString { unsafe open($0, flags | O_CLOEXEC, mode) }
        }
        self.init(owning: descriptor)
    }

    /// The same regular file, opened once more: it has no part in the locks of this descriptor, and does not allow to write.
    public func reopenedForReading() throws(Errno) -> Descriptor {
        guard try status().kind == .regular else { throw .notSupported }
        return try Descriptor(opening: FilePath("/proc/self/fd/\(rawValue)"), flags: O_RDONLY)
    }
}

// MARK: - Bytes

extension Descriptor {
    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// First what is in memory; what must be waited for is announced (`Waiting`).
    ///
    /// - Returns: how many there were: fewer than asked only at the end of the file.
    @unsafe
    public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(Errno) -> Int {
        guard let start = hostOffset(offset, count: buffer.count) else { throw .invalidArgument }
        guard let base = buffer.baseAddress, buffer.count > 0 else { return 0 }
        let cached = unsafe platform_read_cached(rawValue, base, buffer.count, Int64(start))
        let done = max(cached, 0)
        if done == buffer.count { return done }
        return try Waiting.announce { () throws(Errno) in
            let rest = unsafe UnsafeMutableRawBufferPointer(start: base + done, count: buffer.count - done)
            return try unsafe waitForBytes(rest, start + off_t(done)) + done
        }
    }

    @unsafe
    private func waitForBytes(_ buffer: UnsafeMutableRawBufferPointer, _ start: off_t) throws(Errno) -> Int {
        var done = 0
        while let base = buffer.baseAddress, done < buffer.count {
            let count = try retrying {
                unsafe pread(rawValue, base + done, buffer.count - done, start + off_t(done))
            }
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// Whether the byte at `offset` is there, and need not be waited for.
    public func isInMemory(at offset: UInt64) -> Bool {
        guard let start = hostOffset(offset, count: 1) else { return false }
        var byte: UInt8 = 0
        return unsafe platform_read_cached(rawValue, &byte, 1, Int64(start)) == 1
    }

    /// Writes all of `buffer` at `offset`, or throws; a failed write may have changed any part of the range.
    @unsafe
    public func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(Errno) {
        guard let start = hostOffset(offset, count: buffer.count) else { throw .fileTooLarge }
        var done = 0
        while let base = buffer.baseAddress, done < buffer.count {
            let count = try retrying {
                unsafe pwrite(rawValue, base + done, buffer.count - done, start + off_t(done))
            }
            // A device may take nothing without saying why; going on would never end.
            if count == 0 { throw .ioError }
            done += count
        }
    }

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// - Returns: how many there were: fewer than asked only at the end of the file.
    public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(Errno) -> Int {
        try unsafe buffer.withUnsafeMutableBytes { (memory) throws(Errno) in
            try unsafe read(into: memory, at: offset)
        }
    }

    /// Writes all of `bytes` at `offset`, or throws; a failed write may have changed any part of the range.
    public func write(_ bytes: RawSpan, at offset: UInt64) throws(Errno) {
        try unsafe bytes.withUnsafeBytes { (memory) throws(Errno) in
            try unsafe write(memory, at: offset)
        }
    }

    /// The offset as the host counts it; nil when it, or the end of the range, is beyond what a file can have.
    private func hostOffset(_ offset: UInt64, count: Int) -> off_t? {
        guard let start = off_t(exactly: offset), start <= off_t.max - off_t(count) else { return nil }
        return start
    }
}

// MARK: - Durability and length

extension Descriptor {
    /// Makes written bytes durable, and the length that is needed to find them (`fdatasync`).
    public func synchronizeData() throws(Errno) {
        try Waiting.announce { () throws(Errno) in _ = try retrying { fdatasync(rawValue) } }
    }

    /// Makes written bytes and all attributes durable (`fsync`); of a directory, its names.
    public func synchronize() throws(Errno) {
        try Waiting.announce { () throws(Errno) in _ = try retrying { fsync(rawValue) } }
    }

    /// Has the host begin to store what was written to a range. Makes nothing durable, and tells no errors: a sync does.
    public func startStoring(_ range: Range<UInt64>) {
        guard let (offset, count) = try? hostRange(range) else { return }
        platform_start_storing(rawValue, offset, count)
    }

    /// Sets the length.
    public func truncate(to size: UInt64) throws(Errno) {
        guard let size = off_t(exactly: size) else { throw .fileTooLarge }
        _ = try retrying { ftruncate(rawValue, size) }
    }
}
