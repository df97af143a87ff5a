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

    /// A small image with Rock Ridge, changed before it is opened.
    private func withImage(
        _ body: (ISO9660Volume, [String: Folder.Entry]) throws -> Void,
        change: (inout SparseBytes, [UInt8]) -> Void
    ) throws {
        try withScratchFolder { scratch in
            let script = """
                cd "$0" && mkdir src && echo one > src/one && echo two > src/two && ln src/two src/zwei && ln -s target src/link
                genisoimage -quiet -R -cache-inodes -o x.iso src
                """
            try run("bash", "-c", script, scratch.path).checked()
            var image = try scratch.read("x.iso")
            change(&image, image[0..<image.count])
            let volume = try ISO9660Volume(MemoryDevice(image, isReadOnly: true))
            let folder = try volume.folder(volume.root)
            var entries: [String: Folder.Entry] = [:]
            for entry in folder.entries { entries[String(decoding: folder.name(of: entry), as: UTF8.self)] = entry }
            try body(volume, entries)
        }
    }

    private func text(_ volume: ISO9660Volume, _ entry: Folder.Entry?) throws -> String {
        let file = try volume.open(try #require(entry).file)
        var bytes = [UInt8](repeating: 0, count: Int(file.size))
        try bytes.withMutableBytes { (span) throws(VolumeError) in try file.read(into: &span, at: 0) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Where the record of a file begins.
    private func record(_ name: String, in image: [UInt8]) -> Int {
        let wanted = Array(name.utf8)
        return (32768..<image.count - 40).first {
            image[$0] == wanted[0] && image[$0..<$0 + wanted.count].elementsEqual(wanted)
        }
        .map { $0 - 33 } ?? 0
    }

    private static let hasTool = (try? run("genisoimage", "--version").succeeded) == true

    /// One bit says that a file goes on in the next record: that of another file is not taken for it.
    @Test(.enabled(if: hasTool, "needs genisoimage"), arguments: ["ONE.;1", "ZWEI.;1"])
    func aFlagDoesNotJoinFiles(_ name: String) throws {
        try withImage { volume, entries in
            #expect(Set(entries.keys) == ["one", "two", "zwei", "link"])
            // The last one is a link to another record, which is sound.
            if name == "ONE.;1" { #expect(throws: (any Error).self) { try text(volume, entries["one"]) } }
            try #expect(text(volume, entries["two"]) == "two\n")
        } change: { image, bytes in
            let place = record(name, in: bytes)
            image.store([bytes[place + 25] | 0x80], at: UInt64(place + 25))
        }
    }

    /// Equal serial numbers alone don't make one file of two.
    @Test(.enabled(if: hasTool, "needs genisoimage"))
    func hardLinksHaveOnePlace() throws {
        try withImage { volume, entries in
            #expect(entries["two"]?.file == entries["zwei"]?.file)
            #expect(entries["one"]?.file != entries["two"]?.file)
            try #expect(text(volume, entries["one"]) == "one\n")
            try #expect(text(volume, entries["zwei"]) == "two\n")
        } change: { image, bytes in
            // Every PX field has two links and no serial number but 7.
            for place in 32768..<bytes.count - 44 where bytes[place] == 0x50 && bytes[place + 1] == 0x58 {
                image.store([2], at: UInt64(place + 12))
                if bytes[place + 2] >= 44 { image.store([7], at: UInt64(place + 36)) }
            }
        }
    }

    /// A field that is shorter than it says costs its file alone.
    @Test(.enabled(if: hasTool, "needs genisoimage"))
    func aDamagedFieldCostsOneFile() throws {
        try withImage { volume, entries in
            #expect(entries.count == 4)
            let damaged = try #require(entries["ONE"])
            #expect(throws: VolumeError.self) { try volume.attributes(of: damaged.file) }
            #expect(throws: (any Error).self) { try text(volume, damaged) }
            try #expect(text(volume, entries["two"]) == "two\n")
        } change: { image, bytes in
            let place = record("ONE.;1", in: bytes)
            let field = (place + 40..<place + 200).first { bytes[$0] == 0x50 && bytes[$0 + 1] == 0x58 } ?? 0
            image.store([3], at: UInt64(field + 2))
        }
    }
}
