internal import ControlLanguage
internal import Platform
internal import SystemPackage
internal import VirtualDisk

/// What a verb is about: a name, or the path of an image.
enum Target {
    /// The absolute path of an image, as a word of a request.
    static func path(_ text: String) throws(AttachError) -> Word {
        guard !text.isEmpty, let word = Word(UserPath.absolute(text).bytes) else {
            throw AttachError(
                .pathNotFound,
                "a path that is empty, or has a newline in it, can't be handed on",
                path: text
            )
        }
        return word
    }

    /// What a user means by a word: a name, if a disk of that name is attached, else a file that is there, else a name.
    static func word(_ text: String, in fileSystem: MountedFileSystem) throws(AttachError) -> Word {
        let path = try path(text)
        if !text.contains("/"), let name = Word(text) {
            let isName = (try? fileSystem.folder(of: text).status(followingLinks: false)) != nil
            if isName || file(text) == nil { return name }
        }
        // The image may be attached under another path of the same file.
        return file(text).flatMap { try? $0.resolved() }.flatMap { Word($0.bytes) } ?? path
    }

    /// The file of a path; nil if there is none.
    static func file(_ text: String) -> FilePath? {
        let path = UserPath.absolute(text)
        return (try? path.status()) != nil ? path : nil
    }

    /// The name in `ok info NAME`, the last line of an answer.
    static func name(inAnswer lines: [[UInt8]]) -> String? {
        let words = String(decoding: lines.last ?? [], as: UTF8.self).split(separator: " ")
        return words.count == 3 && words[0] == "ok" ? String(words[2]) : nil
    }
}
