import BlockDevice
import TestSupport
import VHDFormat
import VHDXFormat

/// The images that can be written to.
enum DiskKind: CaseIterable, Sendable, CustomStringConvertible {
    case vhdDynamic, vhdDifferencing, vhdxDynamic, vhdxDifferencing

    var isVHDX: Bool { self == .vhdxDynamic || self == .vhdxDifferencing }
    var isDifferencing: Bool { self == .vhdDifferencing || self == .vhdxDifferencing }

    var description: String {
        "\(isVHDX ? "VHDX" : "VHD") \(isDifferencing ? "differencing" : "dynamic")"
    }

    /// How many programs write at once, each to a partition of its own.
    var writers: Int { isVHDX ? 3 : 4 }
    /// The longest write.
    var longestWrite: UInt64 { isVHDX ? 9000 : 5000 }

    // MARK: The formats, each by one door

    /// Opens a file as the program does. A VHDX's log is emptied by `finish` only.
    func layer(_ file: any HostFile, writable: Bool) throws -> any ImageLayer {
        if isVHDX {
            return try VHDXImage.open(file, options: VHDXOpenOptions(isWritable: writable, checkpointDelay: nil))
        }
        return try VHDImage.open(file, options: VHDOpenOptions(writable: writable))
    }

    /// Opens a file above its parent.
    func open(_ file: any HostFile, over parents: [any ImageLayer], writable: Bool) throws -> Chain {
        Chain(leaf: try layer(file, writable: writable), parents: parents, isReadOnly: !writable)
    }

    /// What `vhdfs check` calls damage in a file that a power cut has left.
    func damage(in file: MemoryFile) throws -> [CheckReport.Finding] {
        let report = isVHDX ? try VHDXImage.check(file) : try VHDImage.check(file)
        return report.findings.filter { finding in
            // While a VHD grows, its footer at the end may be missing; the copy at the start counts then.
            finding.severity == .damaged && (isVHDX || !finding.text.contains("footer"))
        }
    }

    /// What the disk shows to a reader that shares no code with the program, and that throws at the first broken rule.
    ///
    /// - Parameter isClosed: the image was closed in good order: no log, no copies that differ.
    func referenceDisk(_ content: SparseBytes, over below: SparseBytes?, isClosed: Bool) throws -> SparseBytes {
        if isVHDX {
            let reference = try ReferenceVHDX(content)
            guard !isClosed || reference.headersAgree && reference.logIsEmpty && reference.regionTablesAgree else {
                throw TestSupportError("the session did not leave a clean file")
            }
            return reference.shown(over: below)
        }
        let reference = try ReferenceVHD(content)
        guard !isClosed || reference.footersAgree else { throw TestSupportError("the footers differ") }
        return reference.shown(over: below)
    }
}

/// A random image of a kind, with its parent if it has one, and what the disk shows.
struct TestDisk: Sendable {
    let kind: DiskKind
    let leaf: SparseBytes
    let parent: SparseBytes?
    let shown: SparseBytes
    let below: SparseBytes?

    var leafName: String { kind.isVHDX ? "leaf.vhdx" : "leaf.vhd" }
    var parentName: String { kind.isVHDX ? "parent.vhdx" : "parent.vhd" }

    init(_ kind: DiskKind, using random: inout SeededGenerator) {
        self.kind = kind
        if kind.isVHDX {
            func layer(_ subtype: VHDXBuilder.Subtype) -> VHDXBuilder {
                .random(subtype, size: 6 << 20, blockSizes: [1 << 20], logicalSectorSize: 512, using: &random)
            }
            let base = layer(.dynamic)
            var child = kind.isDifferencing ? layer(.differencing) : nil
            child?.setParent(base, file: "parent.vhdx")
            leaf = (child ?? base).build().content
            parent = child == nil ? nil : base.build().content
            below = child == nil ? nil : base.shown(over: nil)
            shown = (child ?? base).shown(over: below)
        } else {
            func layer() -> VHDBuilder {
                .random(.dynamic, size: 120_000, blockSizes: [4096, 8192, 16_384], using: &random)
            }
            var base = layer()
            // QEMU doesn't look at the bits of a dynamic disk: where it is asked, all are set.
            if Bool.random(using: &random) { for block in base.blocks.keys { base.blocks[block] = [] } }
            var child = kind.isDifferencing ? layer() : nil
            child?.setParent(base, file: "parent.vhd")
            leaf = (child ?? base).build().content
            parent = child == nil ? nil : base.build().content
            below = child == nil ? nil : base.shown()
            shown = (child ?? base).shown(over: below)
        }
    }

    /// Where the partitions lie, without regard to blocks: neighbours share blocks, bitmaps and pages.
    func boundaries(using random: inout SeededGenerator) -> [UInt64] {
        let share = shown.count / 512 / UInt64(kind.writers)
        let inner = (1..<UInt64(kind.writers)).map { number in
            number * share - UInt64.random(in: 0..<max(1, share / 4), using: &random)
        }
        return ([1] + inner + [shown.count / 512]).map { $0 * 512 }
    }
}
