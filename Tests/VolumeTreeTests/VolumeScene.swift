import BlockDevice
import ByteIO
import FileSystem
import Glibc
import Logging
import Platform
import Synchronization
import SystemPackage
import TestSupport
import VolumeTree
import Volumes

/// A volume in memory, shown as the tree shows it.
final class VolumeScene: Sendable {
    let reader: MemoryVolume
    let volume: ShownVolume
    /// The version of the disk.
    let version: Box

    final class Box: Sendable {
        let value = Atomic<UInt64>(1)
        let openings = Atomic(0)
        let log = Locked<[String]>([])
        /// Opening takes a while, and fails.
        let failure = Locked<VolumeError?>(nil)
    }

    init(_ reader: MemoryVolume, isConstant: Bool = true, keepsPermissions: Bool = false) {
        self.reader = reader
        let box = Box()
        version = box
        volume = ShownVolume(
            name: "disk/p1",
            isConstant: isConstant,
            owner: ShownVolume.Owner(user: 12, group: 34),
            options: VolumeOptions(
                keepsPermissions: keepsPermissions,
                log: Logger(label: "test") { _ in RecordingLog(box: box) }
            ) { (_, _, _) throws(VolumeError) in
                box.openings.add(1, ordering: .relaxed)
                if let failure = box.failure.withLock({ $0 }) {
                    usleep(100_000)
                    throw failure
                }
                return reader
            },
            version: { box.value.load(ordering: .relaxed) },
            locate: { () throws(VolumeError) in
                ShownVolume.Place(
                    device: MemoryDevice(SparseBytes(count: 512)),
                    reader: .udf,
                    version: box.value.load(ordering: .relaxed)
                )
            }
        )
    }
}

/// Keeps what is logged.
private struct RecordingLog: LogHandler {
    let box: VolumeScene.Box
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        box.log.withLock { $0.append("\(event.message)") }
    }
}

/// An open file, read by ranges.
struct ReadFile {
    let file: any OpenFile

    init(_ file: any OpenFile) {
        self.file = file
    }

    func read(_ range: Range<UInt64>) throws(Errno) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: range.count)
        let count = try bytes.withMutableBytes { (span) throws(Errno) in
            try file.read(into: &span, at: range.lowerBound, caller: Caller(user: 0, group: 0, thread: 1))
        }
        return Array(bytes.prefix(count))
    }

    func close() throws(Errno) {
        try file.flush()
        file.release()
    }
}
