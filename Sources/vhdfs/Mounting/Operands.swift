internal import ControlLanguage
internal import Logging
internal import Platform
internal import SystemPackage
internal import VirtualDisk

/// The images of a command line, attached all or none.
struct Operands {
    let table: AttachmentTable
    let words: AttachWords
    let requester: Requester
    let cancellation: Cancellation
    let log: Logger

    /// Attaches them in order. When one fails, those before it are given back, records of permanent ones too.
    func attach(_ images: [FilePath]) throws(AttachError) {
        var attached: [Attachment] = []
        for image in images {
            do throws(AttachError) {
                if let attachment = try attach(image) { attached.append(attachment) }
            } catch {
                for attachment in attached { table.withdraw(attachment) }
                throw error
            }
        }
    }

    private func attachPatiently(_ image: FilePath, _ words: AttachWords) throws(AttachError) -> Attachment {
        let outcome = runPatiently("attach", limit: table.configuration.patience) { [self] in
            Result { () throws(AttachError) in
                try table.attach(image, words, for: requester, lifetime: .fileSystem, cancellation: cancellation)
            }
        }
        if let outcome { return try outcome.get() }
        cancellation.cancel()
        throw AttachError(.timeout, "the host of the image, or of a parent, does not answer", path: image.string)
    }

    /// - Returns: nil when it is attached already, because it is permanent: a line of fstab may say so at each start.
    private func attach(_ image: FilePath) throws(AttachError) -> Attachment? {
        do throws(AttachError) {
            return try words.attaching(image) { (words) throws(AttachError) in
                try attachPatiently(image, words)
            }
        } catch {
            guard error.error == .sharingViolation, let path = Word(image.bytes),
                let earlier = try? table.find(path, for: requester), earlier.lifetime == .permanent
            else { throw error }
            log.info("\(image) is attached permanently as \(earlier.name)")
            return nil
        }
    }
}
