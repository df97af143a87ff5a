internal import ControlLanguage
internal import SystemPackage

/// The terminal, or whatever stands in its place.
enum Console {
    /// Writes what was asked for, with a newline.
    static func say(_ text: String) {
        write(Array(text.utf8) + [UInt8(ascii: "\n")], to: .standardOutput)
    }

    /// Writes bytes as they are.
    static func write(_ bytes: [UInt8]) {
        write(bytes, to: .standardOutput)
    }

    /// Writes one line about what is wrong.
    static func complain(_ text: String) {
        write(Array("vhdfs: \(oneLine(text))\n".utf8), to: .standardError)
    }

    /// Text without anything that would end its line or steer a terminal.
    static func oneLine(_ text: String) -> String {
        String(decoding: escapingControls(Array(text.utf8)), as: UTF8.self)
    }

    /// There is nobody to tell that nobody listens.
    private static func write(_ bytes: [UInt8], to stream: FileDescriptor) {
        _ = try? stream.writeAll(bytes)
    }
}
