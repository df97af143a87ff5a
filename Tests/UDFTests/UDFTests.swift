import BlockDevice
import ByteIO
import FileSystem
import TestSupport
import Testing
import UDF
import Volumes

/// UDF volumes of all kinds, made by a builder that does not know the reader.
struct UDFTests {
    private static func files(_ blockSize: Int) -> [UDFBuilder.File] {
        var generator = SeededGenerator(seed: 4)
        var files: [UDFBuilder.File] = []
        for allocation in UDFBuilder.Allocation.allCases {
            let sizes = allocation == .embedded ? [0, 1, 100] : [0, 1, blockSize, 5 * blockSize + 7]
            for size in sizes {
                files.append(UDFBuilder.File("\(allocation) \(size)", generator.bytes(size), allocation))
            }
            guard allocation != .embedded else { continue }
            let content = generator.bytes(23 * blockSize + 5)
            files.append(UDFBuilder.File("\(allocation) in pieces", content, allocation, isFragmented: true))
        }
        files.append(UDFBuilder.File("Größe", [1]))
        files.append(UDFBuilder.File("漢字 😀", [2], .embedded))
        files.append(UDFBuilder.File("promised", [UInt8](repeating: 0, count: 3 * blockSize), .long))
        return files
    }

    private func read(_ file: any VolumeFile) throws(VolumeError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: Int(file.size))
        try bytes.withMutableBytes { (span) throws(VolumeError) in try file.read(into: &span, at: 0) }
        return bytes
    }

    @Test(arguments: UDFBuilder.Medium.allCases, [512, 1024, 2048, 4096])
    func everythingIsThere(_ medium: UDFBuilder.Medium, _ blockSize: Int) throws {
        for isExtended in [false, true] {
            var builder = UDFBuilder(medium, blockSize: blockSize, isExtended: isExtended)
            let files = Self.files(blockSize)
            builder.build(files)
            let volume = try UDFVolume(MemoryDevice(builder.image, isReadOnly: true))
            let folder = try volume.folder(volume.root)
            #expect(folder.parent == nil)
            let names = folder.entries.map { String(decoding: folder.name(of: $0), as: UTF8.self) }
            #expect(names == files.map(\.name) + ["link", "folder"])
            for (file, entry) in zip(files, folder.entries) {
                let open = try volume.open(entry.file)
                #expect(try read(open) == file.content, "\(file.name)")
                let attributes = try #require(entry.attributes)
                #expect(attributes.size == UInt64(file.content.count))
                #expect((attributes.permissions, attributes.owner, attributes.group) == (0o750, 1001, nil))
                #expect(attributes.linkCount == 2)
                #expect(
                    attributes.modified == Timestamp(seconds: UDFBuilder.seconds, nanoseconds: UDFBuilder.nanoseconds)
                )
                if file.content.count > 10 {
                    var part = [UInt8](repeating: 0, count: file.content.count / 2)
                    let start = file.content.count / 3
                    try part.withMutableBytes { (span) throws(VolumeError) in
                        try open.read(into: &span, at: UInt64(start))
                    }
                    #expect(part == Array(file.content[start..<start + part.count]))
                }
            }
            let link = folder.entries[files.count]
            #expect(link.kind == .symbolicLink)
            #expect(try volume.linkTarget(of: link.file) == LinkTarget(base: .folder, path: Array("../foö".utf8)))
            let child = try volume.folder(folder.entries[files.count + 1].file)
            #expect(child.entries.isEmpty && child.parent == volume.root)
        }
    }

    /// Damage anywhere: nothing traps or runs for ever, and what is read without an error of an untouched file is right.
    @Test(arguments: UDFBuilder.Medium.allCases)
    func damageIsFoundOrHarmless(_ medium: UDFBuilder.Medium) throws {
        var builder = UDFBuilder(medium, blockSize: 512)
        let files = Self.files(512)
        builder.build(files)
        var stored: [UInt64] = []
        builder.image.forEachStoredPage { offset, _ in stored.append(offset) }
        var generator = SeededGenerator(seed: 9)
        var opened = 0
        for _ in 0..<150 {
            var image = builder.image
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let page = stored.randomElement(using: &generator) ?? 0
                let place = page + UInt64.random(in: 0..<4096, using: &generator)
                guard place < image.count else { continue }
                image.store([UInt8.random(in: 0...255, using: &generator)], at: place)
            }
            guard let volume = try? UDFVolume(MemoryDevice(image, isReadOnly: true)),
                let folder = try? volume.folder(volume.root)
            else { continue }
            opened += 1
            for entry in folder.entries {
                _ = try? volume.folder(entry.file)
                _ = try? volume.linkTarget(of: entry.file)
                _ = try? volume.extendedAttributes(of: entry.file)
                guard let open = try? volume.open(entry.file), open.size < 1 << 20 else { continue }
                _ = try? read(open)
            }
        }
        #expect(opened > 10)
    }

    /// A checksum tells that a file entry is not what was written.
    @Test func aFileEntryWithAWrongByteIsRefused() throws {
        var builder = UDFBuilder(.plain)
        builder.build([UDFBuilder.File("a", [1, 2, 3]), UDFBuilder.File("b", [4])])
        let place = try #require(builder.entries["a"])
        builder.image.store([9], at: place + 60)
        let volume = try UDFVolume(MemoryDevice(builder.image, isReadOnly: true))
        let folder = try volume.folder(volume.root)
        #expect(folder.entries.count == 4)
        #expect(throws: VolumeError.self) { try volume.open(folder.entries[0].file) }
        #expect(try read(try volume.open(folder.entries[1].file)) == [4])
    }
}
