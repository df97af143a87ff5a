import TestSupport

/// The other program that reads and writes VHDX files. It knows neither parents nor sectors of 4096 bytes, and looks at neither
/// overlaps nor the second region table (`formats.md` §10).
enum QEMU {
    static let isThere = (try? run("qemu-img", "--version").succeeded) ?? false

    /// The whole disk of an image file, as qemu sees it.
    static func disk(ofFile path: String, in scratch: ScratchFolder) throws -> SparseBytes {
        let target = scratch.path("qemu.raw")
        try run("qemu-img", "convert", "-f", "vhdx", "-O", "raw", path, target).checked()
        return try readFile(target)
    }

    /// Whether qemu finds nothing wrong; it needs no repair, a log included.
    static func check(_ path: String) throws {
        try run("qemu-img", "check", "-f", "vhdx", path).checked()
    }

    /// Makes a VHDX file that holds `disk`.
    static func make(_ kind: String, blockSize: String, holding disk: SparseBytes, in scratch: ScratchFolder) throws
        -> SparseBytes
    {
        let source = try scratch.write(disk, to: "source.raw")
        let target = scratch.path("made.vhdx")
        let options = "subformat=\(kind),block_size=\(blockSize)"
        try run("qemu-img", "convert", "-f", "raw", "-O", "vhdx", "-o", options, source, target).checked()
        return try readFile(target)
    }
}
