internal import Glibc

/// The image files that other programs made: `VHDFS_TEST_IMAGES`, by default `../shared/images` beside the package.
public enum TestImages {
    /// One line of the manifest.
    public struct Entry: Sendable, CustomStringConvertible {
        /// The path in the folder, `vhd/name.vhd.xz`.
        public let file: String
        /// `VHD/dynamic`, `ISO/UDF raw`, …
        public let format: String
        /// The size of the virtual disk in bytes.
        public let virtualSize: UInt64
        /// SHA-256 of the unpacked file.
        public let imageHash: String
        /// SHA-256 of the virtual disk.
        public let diskHash: String

        /// The file's name without folder and `.xz`.
        public var name: String {
            let last = file.split(separator: "/").last.map(String.init) ?? file
            return last.hasSuffix(".xz") ? String(last.dropLast(3)) : last
        }

        /// The name, for lists of tests.
        public var description: String { name }
    }

    /// The folder of the images.
    public static var folder: String {
        if let value = unsafe getenv("VHDFS_TEST_IMAGES") { return unsafe String(cString: value) }
        return "\(packageFolder)/../shared/images"
    }

    /// The package's own folder.
    public static var packageFolder: String {
        "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    }

    /// All images; none if the folder is not there.
    public static let entries: [Entry] = (try? readManifest()) ?? []

    /// Whether the images are there; tests that need them are skipped otherwise.
    public static var areThere: Bool { !entries.isEmpty }

    /// Puts the unpacked image into a scratch folder and checks its hash. Returns its path.
    public static func unpack(_ name: String, into scratch: ScratchFolder) throws -> String {
        guard let entry = entries.first(where: { $0.name == name }) else {
            throw TestSupportError("no test image \(name) in \(folder)")
        }
        let target = scratch.path(entry.name)
        let unpack = entry.file.hasSuffix(".xz") ? ["xz", "-dc"] : ["cat"]
        let script = "\"$@\" \"$SOURCE\" > \"$TARGET\""
        try run(
            ["sh", "-c", script, "sh"] + unpack,
            environment: ["SOURCE": "\(folder)/\(entry.file)", "TARGET": target]
        ).checked()
        guard try sha256(ofFile: target) == entry.imageHash else {
            throw TestSupportError("\(entry.file) is not the file that the manifest describes")
        }
        return target
    }

    private static func readManifest() throws -> [Entry] {
        let text = String(decoding: try readFile("\(folder)/MANIFEST.tsv").bytes, as: UTF8.self)
        return text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            guard !line.hasPrefix("#"), fields.count >= 5, let size = UInt64(fields[2]) else { return nil }
            return Entry(
                file: fields[0],
                format: fields[1],
                virtualSize: size,
                imageHash: fields[3],
                diskHash: fields[4]
            )
        }
    }
}
