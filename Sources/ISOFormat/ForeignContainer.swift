internal import BlockDevice

/// Files that hold an optical disc in another form than sector after sector (formats.md §5.2): refused with their names.
enum ForeignContainer {
    /// What the file is and how to convert it; nil when it is none of them.
    static func name(of file: any HostFile) throws(DiskError) -> String? {
        let size = try file.size()
        guard size >= 2048 else { return nil }
        let head = try file.readBytes("first bytes", at: 0, count: 16)
        if head.starts(with: [0] + Array(repeating: 0xFF, count: 10) + [0]) {
            return "raw CD sectors of 2352 bytes: convert the image first (bchunk, ccd2iso)"
        }
        for (offset, what) in [(37_385, "2336"), (39_185, "2448")] as [(UInt64, String)] where offset + 5 <= size {
            if try file.readBytes("descriptor", at: offset, count: 5).elementsEqual("CD001".utf8) {
                return "raw CD sectors of \(what) bytes: convert the image first (iat)"
            }
        }
        if head.starts(with: Array("CISO".utf8)) { return "a compressed image (CISO): unpack it first" }
        if head.starts(with: Array("IsZ!".utf8)) { return "a compressed image (ISZ): unpack it first" }
        let tail = try file.readBytes("last bytes", at: size - 512, count: 512)
        if tail.starts(with: Array("koly".utf8)) { return "an Apple disk image (dmg): convert it first (dmg2img)" }
        if tail.suffix(12).starts(with: Array("NER5".utf8)) || tail.suffix(8).starts(with: Array("NERO".utf8)) {
            return "a Nero image (nrg): convert it first (nrg2iso)"
        }
        return nil
    }
}
