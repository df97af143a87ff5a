// Makes the images of the README's tour in a folder:
//   disk.vhd (dynamic), fixed.vhd, base.vhd with its child child.vhd, vm.vhdx with its child vm-checkpoint.avhdx, empty.vhdx, disc.iso, and
//   install.iso, which has nothing but UDF.

internal import Glibc
internal import TestSupport

let mebibyte: UInt64 = 1 << 20

/// A disk of 64 MiB with a line of text at its start, and another one in its middle.
func disk(saying text: String) -> SparseBytes {
    var disk = SparseBytes(count: 64 * mebibyte)
    disk.store(Array("\(text)\n".utf8), at: 0)
    disk.store(Array("the middle of the disk\n".utf8), at: 32 * mebibyte)
    return disk
}

func save(_ bytes: SparseBytes, as name: String) throws {
    print("made \(try ScratchFolder(path: folder).write(bytes, to: name))")
}

guard CommandLine.arguments.count == 2 else {
    print("usage: sample-images FOLDER")
    exit(64)
}
let folder = CommandLine.arguments[1]

/// A VHD that is nobody's parent: children go by the identifier, which must be its own.
func vhd(_ subtype: VHDBuilder.Subtype, number: UInt8, saying text: String) -> SparseBytes {
    var builder = VHDBuilder(subtype, disk: disk(saying: text))
    builder.uniqueID[0] = number
    return builder.build().content
}

try save(vhd(.dynamic, number: 101, saying: "hello from a dynamic VHD"), as: "disk.vhd")
try save(vhd(.fixed, number: 102, saying: "hello from a fixed VHD"), as: "fixed.vhd")

let base = VHDBuilder(.dynamic, disk: disk(saying: "hello from the parent"))
try save(base.build().content, as: "base.vhd")

// The child has one sector of its own; everything else is the parent's.
var child = VHDBuilder(.differencing, size: base.size)
child.disk.store(Array("hello from the child\n".utf8), at: 0)
child.blocks[0] = (0..<4096).map { $0 == 0 }
child.uniqueID = base.uniqueID.reversed()
child.parentID = base.uniqueID
child.parentName = "base.vhd"
child.locators = [
    .init("W2ru", Array(".\\base.vhd".utf16).flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] })
]
try save(child.build().content, as: "child.vhd")

let machine = VHDXBuilder(.dynamic, disk: disk(saying: "hello from a VHDX"))
try save(machine.build().content, as: "vm.vhdx")

// A checkpoint, as Hyper-V makes it: one sector of its own, and a log that was not emptied when the machine went down.
var checkpoint = VHDXBuilder(.differencing, size: machine.size, blockSize: 2 << 20)
checkpoint.setParent(machine, file: "vm.vhdx")
checkpoint.disk.store(Array("hello from a checkpoint\n".utf8), at: 0)
checkpoint.blocks[0] = .init(.partiallyPresent, present: (0..<4096).map { $0 == 0 })
checkpoint.dataWriteGUID.reverse()
checkpoint.hide(.table)
try save(checkpoint.build().content, as: "vm-checkpoint.avhdx")

var disc = ISOBuilder.iso9660()
disc.put(Array("hello from an ISO\n".utf8), at: 0)
try save(disc.content, as: "disc.iso")

// Nobody's parent, so with identifiers of its own.
var empty = VHDXBuilder(.dynamic, size: 64 * mebibyte)
empty.dataWriteGUID = empty.dataWriteGUID.map { ~$0 }
try save(empty.build().content, as: "empty.vhdx")

var install = UDFBuilder(.metadata, isExtended: true)
install.build([
    UDFBuilder.File("README.TXT", Array("hello from an install disc\n".utf8), .embedded),
    UDFBuilder.File("setup.exe", [UInt8](repeating: 0x4D, count: 300_000), .long),
])
try save(install.image, as: "install.iso")
