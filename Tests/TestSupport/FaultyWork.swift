public import BlockDevice

/// Fixed work on a disk of which one call to the host fails.
public struct FaultyWork {
    /// Opens the disk whose leaf is this file.
    public typealias Open = (_ file: any HostFile, _ isWritable: Bool) throws -> Chain

    private let open: Open
    private let before: SparseBytes
    private let memory: MemoryFile
    private let file: FaultyFile
    private let operation: FaultyFile.Operation
    private let number: Int
    /// The longest change.
    private let longest: UInt64
    /// The pages that any step has touched; the others must be as before.
    private var touched: Set<UInt64> = [0]

    /// What the disk may show now.
    private var versions: [SparseBytes]
    /// What it may hold if it is given up now: that, or anything since the last sync.
    private var sinceSync: [SparseBytes]
    private var failures: [String] = []

    /// Plans work on an image.
    ///
    /// - Parameters:
    ///   - content: the leaf's file.
    ///   - shown: what the disk shows.
    ///   - operation: the call that fails, once: the one with this number.
    ///   - longest: the longest change.
    public init(
        on content: SparseBytes,
        showing shown: SparseBytes,
        failing operation: FaultyFile.Operation,
        number: Int,
        longest: UInt64 = 9000,
        open: @escaping Open
    ) {
        self.open = open
        self.operation = operation
        self.number = number
        self.longest = longest
        before = content
        memory = MemoryFile(content, path: "leaf")
        file = FaultyFile(memory, failing: operation, number: number)
        versions = [shown]
        sinceSync = versions
    }

    /// Works, and checks that nothing is lost that was acknowledged. Returns whether the call came.
    public mutating func run() throws -> Bool {
        let disk: Chain
        do {
            disk = try open(file, true)
        } catch {
            guard memory.content == before else { throw TestSupportError("a failed open changed the file") }
            return true
        }
        var random = SeededGenerator(seed: 99)
        let model = DiskModel(versions[0])
        for count in 0..<14 where versions.count < 64 {
            let step = count % 5 == 4 ? .synchronize : model.randomStep(longest: longest, using: &random)
            touched.formUnion(step.pages)
            try perform(step, on: disk, "step \(count)")
        }
        var isClosed = false
        do {
            try disk.finish()
            isClosed = true
        } catch {
            failures.append("finish: \(error)")
        }
        let happened = file.callCount(of: operation) > number
        if happened, [.read, .write, .synchronize, .truncate].contains(operation), failures.isEmpty {
            throw TestSupportError("\(operation) \(number) failed, and nobody heard of it")
        }
        do {
            let again = try open(memory, false)
            for page in touched {
                let range = page * SparseBytes.pageSize..<min(again.size, (page + 1) * SparseBytes.pageSize)
                try checkOldOrNew(try again.contents(range), at: range, allowed: isClosed ? versions : sinceSync)
            }
        } catch {
            throw TestSupportError("\(operation) \(number), closed: \(isClosed), \(failures): \(error)")
        }
        return happened
    }

    private mutating func perform(_ step: DiskModel.Step, on device: some BlockDevice, _ name: String) throws {
        do {
            switch step {
            case .read(let range):
                let bytes = try device.contents(range)
                try checkOldOrNew(bytes, at: range, allowed: versions)
            case .write(let bytes, let offset): try device.store(bytes, at: offset)
            case .zero(let range): try device.zero(range)
            case .synchronize: try device.synchronize()
            }
            versions = versions.map { DiskModel($0).after(step) }
            if case .synchronize = step { sinceSync = versions } else { sinceSync += versions }
        } catch let error as DiskError {
            failures.append("\(name): \(error)")
            // What failed may have been done in any part.
            versions += versions.map { DiskModel($0).after(step) }
            sinceSync += versions
        }
    }
}

extension DiskModel.Step {
    /// The pages of the disk that it touches.
    public var pages: Set<UInt64> {
        let range: Range<UInt64>
        switch self {
        case .synchronize: return []
        case .read(let part), .zero(let part): range = part
        case .write(let bytes, let offset): range = offset..<offset + UInt64(bytes.count)
        }
        return range.isEmpty
            ? [] : Set(range.lowerBound / SparseBytes.pageSize...(range.upperBound - 1) / SparseBytes.pageSize)
    }
}

/// Checks that every byte of a range is that of one of the versions: old or new, but never foreign.
public func checkOldOrNew(_ bytes: [UInt8], at range: Range<UInt64>, allowed: [SparseBytes]) throws {
    if allowed.contains(where: { equalBytes($0[range], bytes) }) { return }
    let versions = allowed.map { $0[range] }
    for index in bytes.indices where !versions.contains(where: { $0[index] == bytes[index] }) {
        throw TestSupportError(
            "byte \(range.lowerBound + UInt64(index)) is \(bytes[index]), neither old nor new: "
                + "\(Set(versions.map { $0[index] }))"
        )
    }
}

extension DiskModel {
    /// The bytes as they are after a step.
    fileprivate func after(_ step: Step) -> SparseBytes {
        var bytes = bytes
        switch step {
        case .write(let data, let offset): bytes.store(data, at: offset)
        case .zero(let range): bytes.zero(range)
        case .read, .synchronize: break
        }
        return bytes
    }
}
