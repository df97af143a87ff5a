/// The name of an attachment: a directory of `attached/`.
public struct AttachmentName: Hashable, Sendable, CustomStringConvertible {
    /// The most bytes that a name has.
    public static let maximumLength = 200

    /// The name, ASCII.
    public let text: String

    /// Takes a name: 1 to 200 characters of `A-Z a-z 0-9 . _ + @ = -`, not `.` and not `..`; nil for anything else.
    public init?(_ text: String) {
        guard (1...Self.maximumLength).contains(text.utf8.count), text != ".", text != "..",
            text.unicodeScalars.allSatisfy(Self.isAllowed)
        else { return nil }
        self.text = text
    }

    private init(unchecked text: String) {
        self.text = text
    }

    /// The name for an image file that was given none: the file name without its last extension, other characters replaced by `_`.
    ///
    /// An extension begins at a dot with something other than dots before it: `a.tar.gz` gives `a.tar`, `x.` gives `x`, `.hidden` and
    /// `..vhd` stay. A character is a Unicode scalar, or a byte that isn't UTF-8.
    ///
    /// - Parameter fileName: the last component of the path, any bytes.
    public static func derived(fromFileName fileName: some Sequence<UInt8>) -> AttachmentName {
        let name = Array(fileName)
        let dot = UInt8(ascii: ".")
        var stem = name[...]
        if let last = name.lastIndex(of: dot), name[..<last].contains(where: { $0 != dot }) {
            stem = name[..<last]
        }
        var text = ""
        for scalar in String(decoding: stem, as: UTF8.self).unicodeScalars.prefix(maximumLength) {
            text.unicodeScalars.append(isAllowed(scalar) ? scalar : "_")
        }
        return AttachmentName(text) ?? AttachmentName(unchecked: "_")
    }

    /// This name, or the first of `NAME-2`, `NAME-3` … that is free; shortened where the number would make it too long.
    public func unique(isTaken: (AttachmentName) -> Bool) -> AttachmentName {
        var candidate = self
        var number = 2
        while isTaken(candidate) {
            let suffix = "-\(number)"
            candidate = AttachmentName(unchecked: String(text.prefix(Self.maximumLength - suffix.count)) + suffix)
            number += 1
        }
        return candidate
    }

    /// The name.
    public var description: String { text }

    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "A"..."Z", "a"..."z", "0"..."9", ".", "_", "+", "@", "=", "-": true
        default: false
        }
    }
}
