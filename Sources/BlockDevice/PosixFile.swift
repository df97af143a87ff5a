public import Platform
internal import SystemPackage

/// A file, or a block device, of the host.
public final class PosixFile: HostFile {
    public let path: String
    /// The open descriptor.
    public let descriptor: Descriptor
    /// Opened at the first use, and not again if that failed.
    private let second = Locked<Descriptor??>(nil)
    /// Uses an open descriptor.
    ///
    /// - Parameters:
    ///   - descriptor: opened for what is to be done with it.
    ///   - path: the name for messages.
    public init(_ descriptor: Descriptor, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    public var canChangeSize: Bool { (try? descriptor.status().kind) == .regular }

    public func size() throws(DiskError) -> UInt64 {
        try attempt("finding the size") { () throws(Errno) in try descriptor.size() }
    }

    public func read(into buffer: inout MutableRawSpan, at offset: UInt64) throws(DiskError) -> Int {
        do {
            return try descriptor.read(into: &buffer, at: offset)
        } catch {
            throw failure("reading \(buffer.byteCount) bytes at offset \(offset)", error)
        }
    }

    public func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) {
        do {
            try descriptor.write(bytes, at: offset)
            // The last close by a writer waits for the storage in any case; a long copy had better begin with that at once.
            if bytes.byteCount >= Self.streaming {
                descriptor.startStoring(offset..<offset + UInt64(bytes.byteCount))
            }
        } catch {
            throw failure("writing \(bytes.byteCount) bytes at offset \(offset)", error)
        }
    }

    public func synchronize() throws(DiskError) {
        try attempt("making the writes durable") { () throws(Errno) in try descriptor.synchronizeData() }
    }

    public func truncate(to size: UInt64) throws(DiskError) {
        try attempt("setting the length to \(size)") { () throws(Errno) in try descriptor.truncate(to: size) }
    }

    public func zero(_ range: Range<UInt64>) throws(DiskError) {
        guard !range.isEmpty else { return }
        do {
            try descriptor.punchHole(range)
        } catch .notSupported, .noFunction, .invalidArgument {
            // The host's file system has no holes, or a block device none so small.
            try writeZeros(range)
        } catch {
            throw failure(
                "punching a hole of \(range.upperBound - range.lowerBound) bytes at offset \(range.lowerBound)",
                error
            )
        }
    }

    private func writeZeros(_ range: Range<UInt64>) throws(DiskError) {
        let size = try size()
        let zeros = [UInt8](repeating: 0, count: Int(min(range.upperBound - range.lowerBound, 1 << 20)))
        var position = range.lowerBound
        // Behind the end there is nothing to overwrite, and a hole must not make the file longer.
        while position < min(range.upperBound, size) {
            let count = min(UInt64(zeros.count), min(range.upperBound, size) - position)
            try write(Array(zeros.prefix(Int(count))), at: position)
            position += count
        }
    }

    public func allocation(at offset: UInt64, limit: UInt64) -> HostAllocation {
        do {
            guard let data = try descriptor.nextData(from: offset) else {
                return HostAllocation(isData: false, end: limit)
            }
            if data > offset { return HostAllocation(isData: false, end: min(data, limit)) }
            let hole = try descriptor.nextHole(from: offset) ?? limit
            return HostAllocation(isData: true, end: min(max(hole, offset + 1), limit))
        } catch {
            // Where the host can't tell, everything is data: always true, only slower.
            return HostAllocation(isData: true, end: limit)
        }
    }

    public func usage() throws(DiskError) -> HostUsage {
        let status = try attempt("finding the use of space") { () throws(Errno) in try descriptor.status() }
        return HostUsage(
            // What a host says need not be true.
            allocatedBytes: status.blocks.multipliedReportingOverflow(by: 512).overflow ? .max : status.blocks * 512,
            modifiedSeconds: status.modifiedSeconds,
            modifiedNanoseconds: status.modifiedNanoseconds
        )
    }

    public var plain: Descriptor? {
        second.withLock { second in
            if let known = second { return known }
            let opened = try? descriptor.reopenedForReading()
            second = .some(opened)
            return opened
        }
    }

    public func source(of range: Range<UInt64>) -> Descriptor? {
        // The last byte stands for all: what is read in order is read ahead.
        range.isEmpty || !descriptor.isInMemory(at: range.upperBound - 1) ? nil : descriptor
    }

    /// Writes from so many bytes on belong to long copies.
    private static let streaming = 512 << 10

    private func attempt<R>(_ what: String, _ body: () throws(Errno) -> R) throws(DiskError) -> R {
        do {
            return try body()
        } catch {
            throw failure(what, error)
        }
    }

    private func failure(_ what: String, _ error: Errno) -> DiskError {
        let kind: DiskError.Kind =
            switch error {
            case .noSpace, .diskQuotaExceeded, .fileTooLarge: .noSpace
            case .readOnlyFileSystem, .badFileDescriptor: .readOnly
            default: .io
            }
        return DiskError(kind, "\(what): \(error.description)", path: path, errno: error.rawValue)
    }
}
