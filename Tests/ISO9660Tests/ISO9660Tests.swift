import BlockDevice
import ByteIO
import FileSystem
import ISO9660
import TestSupport
import Testing
import Volumes

/// ISO 9660 under damage, and the real images of other projects.
struct ISO9660Tests {
    /// Walks over everything, and reads the beginning of every file; returns how many objects there were.
    private func walk(_ volume: ISO9660Volume) -> Int {
        var folders = [volume.root]
        var seen: Set<FileID> = []
        var count = 0
        while let id = folders.popLast(), count < 100_000 {
            guard seen.insert(id).inserted, let folder = try? volume.folder(id) else { continue }
            for entry in folder.entries {
                count += 1
                if entry.kind == .directory { folders.append(entry.file) }
                _ = try? volume.attributes(of: entry.file)
                _ = try? volume.linkTarget(of: entry.file)
                guard let file = try? volume.open(entry.file), file.size > 0 else { continue }
                var bytes = [UInt8](repeating: 0, count: Int(min(file.size, 4096)))
                try? bytes.withMutableBytes { (span) throws(VolumeError) in try file.read(into: &span, at: 0) }
            }
        }
        return count
    }

    private static let names = [
        "dfvfs-iso9660.raw", "la-test_read_format_iso_joliet_rockridge.iso", "ul-iso-rr-joliet.img",
    ]

    @Test(.enabled(if: TestImages.areThere, "the images of other projects are absent"), arguments: names)
    func realImages(_ name: String) throws {
        let image = try readFile(TestImages.folder + "/iso/" + name)
        let volume = try ISO9660Volume(MemoryDevice(image, isReadOnly: true))
        #expect(walk(volume) > 1)
        // Each folder knows its parent.
        let root = try volume.folder(volume.root)
        #expect(root.parent == nil)
        for entry in root.entries where entry.kind == .directory {
            // One of the images has a folder that names itself as its parent.
            #expect([volume.root, entry.file].contains(try volume.folder(entry.file).parent))
        }
        var generator = SeededGenerator(seed: 11)
        for _ in 0..<60 {
            var damaged = image
            for _ in 0..<Int.random(in: 1...30, using: &generator) {
                let place = UInt64.random(in: 32768..<min(image.count, 200_000), using: &generator)
                damaged.store([UInt8.random(in: 0...255, using: &generator)], at: place)
            }
            if let volume = try? ISO9660Volume(MemoryDevice(damaged, isReadOnly: true)) {
                #expect(walk(volume) < 100_000)
            }
        }
    }
}
