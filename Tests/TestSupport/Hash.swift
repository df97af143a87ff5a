/// The SHA-256 of a file, in hexadecimal.
public func sha256(ofFile path: String) throws -> String {
    try hash(run("sha256sum", "--", path).checked())
}

/// The SHA-256 of bytes, in hexadecimal.
public func sha256(of bytes: [UInt8]) throws -> String {
    try hash(run("sha256sum", input: bytes).checked())
}

/// The SHA-256 of a row of bytes, in hexadecimal. It is written to a sparse file, so that a disk of some GiB takes seconds.
public func sha256(of content: SparseBytes) throws -> String {
    try withScratchFolder { scratch in
        let path = try scratch.write(content, to: "hashed")
        let script = "openssl dgst -sha256 -r -- \"$0\" 2> /dev/null || sha256sum -- \"$0\""
        return try hash(run(["sh", "-c", script, path], timeout: .seconds(240)).checked())
    }
}

/// The SHA-256 of a stream that comes in pieces. They are kept in memory until its end.
///
/// - Parameter next: gives the next piece, or nil at the end.
public func sha256(next: () throws -> [UInt8]?) throws -> String {
    var all: [UInt8] = []
    while let piece = try next() { all += piece }
    return try sha256(of: all)
}

// sha256sum puts a backslash before the digits if it had to escape the file's name.
private func hash(_ result: CommandResult) -> String {
    String(result.output.drop { $0 == "\\" }.prefix(64))
}
