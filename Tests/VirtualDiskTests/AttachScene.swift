import BlockDevice
import ByteIO
import ControlLanguage
import Glibc
import Logging
import Platform
import SystemPackage
import TestSupport
import Testing
import VirtualDisk

// Swift Testing has one too.
typealias Attachment = VirtualDisk.Attachment

/// A table of attachments over the files of a scratch folder, asked in the language of `ctl`.
struct AttachScene {
    let scratch: ScratchFolder
    let table: AttachmentTable

    /// - Parameters:
    ///   - user: who mounted.
    ///   - group: the manage group.
    ///   - stateFolder: where permanent attachments are recorded, in the scratch folder; nil: they can't be.
    init(
        _ scratch: ScratchFolder,
        opener: any FileOpener = DirectOpener(),
        isReadOnly: Bool = false,
        user: UInt32 = 0,
        group: UInt32? = nil,
        stateFolder: String? = nil
    ) {
        self.scratch = scratch
        let mountPoint = FilePath(scratch.path("mount"))
        let journal: Result<PermanentJournal, AttachError>
        if let stateFolder {
            do {
                let state = FilePath(scratch.path(stateFolder))
                journal = .success(try PermanentJournal(stateDirectory: state, mountPoint: mountPoint))
            } catch {
                journal = .failure(error)
            }
        } else {
            journal = .failure(AttachError(.accessDenied, "no state directory"))
        }
        table = AttachmentTable(
            .init(
                policy: ManagePolicy(mountingUser: user, group: group),
                opener: opener,
                journal: journal,
                isReadOnly: isReadOnly,
                mountPoint: mountPoint
            ),
            log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
    }

    /// A requester whose working directory is the scratch folder.
    func requester(_ user: UInt32 = 0, group: UInt32 = 0, groups: [UInt32] = []) -> Requester {
        Requester(
            credentials: Credentials(user: user, group: group, supplementaryGroups: groups),
            workingDirectory: FilePath(scratch.path)
        )
    }

    /// Attaches what the request says that follows `attach`.
    @discardableResult
    func attach(
        _ request: String,
        as requester: Requester? = nil,
        lifetime: Lifetime = .fileSystem,
        cancellation: Cancellation? = nil
    ) throws -> Attachment {
        guard case .attach(let path, let words)? = try Request.parse(Array("attach \(request)".utf8)) else {
            throw TestSupportError("not an attach: \(request)")
        }
        return try table.attach(
            FilePath(bytes: path.bytes),
            words,
            for: requester ?? self.requester(),
            lifetime: lifetime,
            cancellation: cancellation
        )
    }

    @discardableResult
    func detach(_ target: String, force: Bool = false, as requester: Requester? = nil) throws -> String {
        guard let word = Word(target) else { throw TestSupportError("not a word: \(target)") }
        return try table.detach(word, force: force, for: requester ?? self.requester()).text
    }

    /// Expects an attach to be refused with a code and these words in its text, and nothing to stay attached.
    @discardableResult
    func expectRefusal(
        _ error: Win32Error,
        _ words: String...,
        of request: String,
        as requester: Requester? = nil,
        at location: SourceLocation = #_sourceLocation
    ) -> AttachError? {
        let before = table.attachments.map(\.name)
        defer { #expect(table.attachments.map(\.name) == before, sourceLocation: location) }
        do {
            let attachment = try attach(request, as: requester)
            Issue.record("\(request) was attached as \(attachment.name)", sourceLocation: location)
            try detach(attachment.name.text, force: true)
        } catch let refused as AttachError {
            #expect(refused.error == error, "\(refused)", sourceLocation: location)
            for word in words {
                #expect(refused.explanation.contains(word), "\(refused)", sourceLocation: location)
            }
            return refused
        } catch {
            Issue.record("\(error)", sourceLocation: location)
        }
        return nil
    }

    /// Expects a detach to be refused with a code and these words in its text.
    func expectRefusal(
        _ error: Win32Error,
        _ words: String...,
        ofDetaching target: String,
        as requester: Requester? = nil,
        at location: SourceLocation = #_sourceLocation
    ) {
        do {
            try detach(target, as: requester)
            Issue.record("\(target) was detached", sourceLocation: location)
        } catch let refused as AttachError {
            #expect(refused.error == error, "\(refused)", sourceLocation: location)
            for word in words {
                #expect(refused.explanation.contains(word), "\(refused)", sourceLocation: location)
            }
        } catch {
            Issue.record("\(error)", sourceLocation: location)
        }
    }

    /// Writes a sound image of 64 KiB in blocks of 4 KiB, one of which is filled with `fill`.
    @discardableResult
    func makeVHD(
        _ name: String,
        _ subtype: VHDBuilder.Subtype = .dynamic,
        fill: UInt8 = 1,
        change: (inout VHDBuilder) -> Void = { _ in }
    ) throws -> VHDBuilder {
        var builder = VHDBuilder.small(subtype, fill: fill)
        change(&builder)
        try scratch.write(builder.build().content, to: name)
        return builder
    }

    @discardableResult
    func makeISO(_ name: String) throws -> String {
        try scratch.write(ISOBuilder.iso9660().content, to: name)
    }
}

extension VHDBuilder {
    /// 64 KiB in blocks of 4 KiB, the second of which is filled with `fill`; the identifier too is made of it.
    static func small(_ subtype: Subtype = .dynamic, fill: UInt8 = 1) -> VHDBuilder {
        var disk = SparseBytes(count: 65_536)
        disk.store([UInt8](repeating: fill, count: 4096), at: 4096)
        var builder = VHDBuilder(subtype, disk: disk, blockSize: 4096)
        builder.uniqueID = [UInt8](repeating: fill, count: 16)
        return builder
    }

    /// An empty child of `parent`, which it looks for along `locators`.
    static func child(of parent: VHDBuilder, fill: UInt8 = 200, _ locators: Locator...) -> VHDBuilder {
        var builder = VHDBuilder(.differencing, size: parent.size)
        builder.blockSize = 4096
        builder.uniqueID = [UInt8](repeating: fill, count: 16)
        builder.parentID = parent.uniqueID
        builder.locators = locators
        return builder
    }
}

extension VHDBuilder.Locator {
    static func relative(_ path: String) -> Self { Self("W2ru", encodeUTF16(path, .little)) }
    static func absolute(_ path: String) -> Self { Self("W2ku", encodeUTF16(path, .little)) }
    static func url(_ url: String) -> Self { Self("MacX", Array(url.utf8)) }
}

extension Attachment {
    /// Bytes of the disk.
    func bytes(_ range: Range<UInt64>) throws(DiskError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: range.count)
        try bytes.withMutableBytes { (span) throws(DiskError) in try read(into: &span, at: range.lowerBound) }
        return bytes
    }

    /// All bytes of the disk.
    func allBytes() throws(DiskError) -> [UInt8] { try bytes(0..<size) }

    func store(_ bytes: [UInt8], at offset: UInt64) throws(DiskError) {
        try bytes.withBytes { (span) throws(DiskError) in try write(span, at: offset) }
    }

    /// `info` as text.
    var infoText: String { String(decoding: facts.text, as: UTF8.self) }
}

/// What `stat` tells about the contents of a file, as far as an attach could change it.
func timesAndSize(_ path: String) throws -> [Int64] {
    let status = try FilePath(path).status()
    return [status.modifiedSeconds, status.modifiedNanoseconds, Int64(status.size)]
}

/// Whether the tests run as root, who may pass for others.
var isRoot: Bool { geteuid() == 0 }
