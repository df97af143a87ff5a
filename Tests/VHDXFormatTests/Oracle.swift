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

/// The program that reads chains of VHDX files. It knows no log.
enum LibVHDI {
    static let isThere =
        (try? run("sh", "-c", "command -v vhdimount && command -v fusermount && test -w /dev/fuse").succeeded) ?? false

    /// The whole disk of an image file, as libvhdi sees it above the parents beside it.
    static func disk(ofFile path: String) throws -> SparseBytes {
        try withScratchFolder { scratch in
            let (folder, raw) = (try scratch.makeFolder("mounted"), scratch.path("vhdi.raw"))
            let script = """
                vhdimount "$IMAGE" "$FOLDER" > /dev/null || exit 1
                # Each layer has a file: the base is vhdi1, the leaf the last.
                cp "$(ls -v "$FOLDER"/vhdi* | tail -n 1)" "$RAW"; status=$?
                fusermount -u "$FOLDER" || umount -l "$FOLDER"
                exit $status
                """
            try run(["sh", "-c", script], environment: ["IMAGE": path, "FOLDER": folder, "RAW": raw]).checked()
            return try readFile(raw)
        }
    }
}
