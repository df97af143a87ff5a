import TestSupport

/// The other program that reads and writes VHD files. Only ever with `-f vpc`: it takes a fixed VHD for a raw disk otherwise.
///
/// It is right about dynamic disks with full bitmaps, and about fixed ones; it ignores bitmaps and parents (`formats.md` §10).
enum QEMU {
    static let isThere = (try? run("qemu-img", "--version").succeeded) ?? false

    /// The whole disk of an image file, as qemu sees it.
    static func disk(ofFile path: String, in scratch: ScratchFolder) throws -> SparseBytes {
        let target = scratch.path("qemu.raw")
        try run("qemu-img", "convert", "-f", "vpc", "-O", "raw", path, target).checked()
        return try readFile(target)
    }

    /// Makes a VHD file that holds `disk`; the size is not rounded to a geometry.
    static func make(_ kind: String, holding disk: SparseBytes, in scratch: ScratchFolder) throws -> SparseBytes {
        let source = try scratch.write(disk, to: "source.raw")
        let target = scratch.path("made.vhd")
        let options = "subformat=\(kind),force_size=on"
        try run("qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", options, source, target).checked()
        return try readFile(target)
    }
}
