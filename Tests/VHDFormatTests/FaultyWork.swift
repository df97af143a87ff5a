import BlockDevice
import TestSupport
import Testing

/// Fixed work on a disk of which one call to the host fails.
struct FaultyWork {
    private let chain: ChainBuilder
    private let files: [MemoryFile]
    private let file: FaultyFile
    private let operation: FaultyFile.Operation
    private let number: Int

    /// What the disk may show now.
    private var versions: [SparseBytes]
    /// What it may hold if it is given up now: that, or anything since the last sync.
    private var sinceSync: [SparseBytes]
    private var failures: [String] = []

    init(_ chain: ChainBuilder, failing operation: FaultyFile.Operation, number: Int) {
        self.chain = chain
        self.operation = operation
        self.number = number
        files = chain.files()
        file = FaultyFile(files[0], failing: operation, number: number)
        versions = [chain.shown]
        sinceSync = versions
    }

    /// Works, and checks that nothing is lost that was acknowledged. Returns whether the call came.
    mutating func run() throws -> Bool {
        let disk: OpenDisk
        do {
            disk = try OpenDisk(file, parents: files.dropFirst(), writable: true)
        } catch {
            #expect(files[0].content == chain.files()[0].content, "a failed open changed the file")
            return true
        }
        var random = SeededGenerator(seed: 99)
        let model = DiskModel(versions[0])
        for count in 0..<14 where versions.count < 64 {
            let step = count % 5 == 4 ? .synchronize : model.randomStep(longest: 9000, using: &random)
            try perform(step, on: disk.device, "step \(count)")
        }
        var isClosed = false
        do {
            try disk.finish()
            isClosed = true
        } catch {
            failures.append("finish: \(error)")
        }
        let happened = file.callCount(of: operation) > number
        if happened, [.read, .write, .synchronize, .truncate].contains(operation) {
            #expect(!failures.isEmpty, "\(operation) \(number) failed, and nobody heard of it")
        }
        try note("\(operation) \(number), closed: \(isClosed), \(failures)") {
            let again = try OpenDisk(files, writable: false).device
            let shown = SparseBytes(try again.contents(0..<again.size))
            try checkOldOrNew(shown, allowed: isClosed ? versions : sinceSync)
        }
        return happened
    }

    private mutating func perform(_ step: DiskModel.Step, on device: some BlockDevice, _ name: String) throws {
        do {
            switch step {
            case .read(let range):
                let bytes = try device.contents(range)
                try checkOldOrNew(SparseBytes(bytes), allowed: versions.map { SparseBytes($0[range]) })
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
