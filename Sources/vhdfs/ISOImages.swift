internal import ControlLanguage
internal import SystemPackage
internal import VirtualDisk

extension AttachWords {
    /// Attaches an image with these words. An ISO can be attached in no other way than read-only, so nobody need say it here, as with
    /// Windows' one-shot tools.
    func attaching<R>(
        _ image: FilePath,
        _ attach: (AttachWords) throws(AttachError) -> R
    ) throws(AttachError) -> R {
        do throws(AttachError) {
            return try attach(self)
        } catch {
            guard error.error == .writeProtect, !isReadOnly,
                let kind = try? ImageInspection(image, self).format, kind == "iso"
            else { throw error }
            var words = self
            words.isReadOnly = true
            return try attach(words)
        }
    }
}
