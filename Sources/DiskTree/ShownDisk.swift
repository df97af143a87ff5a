internal import FileSystem
internal import Platform
internal import VirtualDisk
internal import VolumeTree
internal import Volumes

/// An attached disk as the tree shows it: its partitions, its volumes, and what of it is open.
final class ShownDisk: Sendable {
    /// A part of the disk that has, or had, a name `pN`. Another partition of that name later is another slot, and so another node.
    struct Slot: Sendable, Hashable {
        var number: Int
        var range: Range<UInt64>
    }

    /// Whether the kernel reads the image file by itself.
    private enum Passthrough {
        case undecided
        case no
        case through(LentFile)
    }

    private struct State {
        var passthrough = Passthrough.undecided
        var slots: [Slot] = []
        /// By slot.
        var volumes: [Int: (number: UInt64, volume: ShownVolume)] = [:]
        /// Files that the kernel has open, and how often.
        var openNodes: [NodeID: Int] = [:]
        /// How many of those can be changed through a mapping.
        var mappable = 0
        /// Those that can be written to, the last one last.
        var writers: [DiskFile] = []
    }

    let attachment: Attachment
    /// Keeps the pages of `disk` and of its partitions the same.
    let coherence = Coherence()
    private let state = Locked(State())

    init(_ attachment: Attachment) {
        self.attachment = attachment
    }

    /// Whether there are folders in `mounts/`.
    var hasVolumes: Bool { attachment.flags.isDisjoint(with: [.noDriveLetter, .noLocalHost]) }

    // MARK: Partitions and volumes

    /// The partitions that are offered now.
    var partitions: [(slot: Int, number: Int)] {
        offered { $0.number > 0 }
    }

    /// The volumes whose files can be shown now.
    var volumes: [(slot: Int, number: Int)] {
        hasVolumes ? offered { $0.identity.map { $0.reader != VolumeIdentity.Reader.none } ?? false } : []
    }

    private func offered(_ isMeant: (DiskContents.Volume) -> Bool) -> [(slot: Int, number: Int)] {
        attachment.contents().volumes.filter(isMeant).compactMap { volume in
            slot(of: Slot(number: volume.number, range: volume.range)).map { ($0, volume.number) }
        }
    }

    /// The number of a slot; nil when a disk has been divided anew too often.
    private func slot(of wanted: Slot) -> Int? {
        state.withLock { state in
            if let known = state.slots.firstIndex(of: wanted) { return known }
            guard state.slots.count < DiskItem.slotLimit else { return nil }
            state.slots.append(wanted)
            return state.slots.count - 1
        }
    }

    /// The part of the disk that a slot stands for.
    func slot(_ index: Int) -> Slot? {
        state.withLock { $0.slots.indices.contains(index) ? $0.slots[index] : nil }
    }

    /// The volume in a slot, with its number; `make` makes it when it is looked into for the first time.
    func volume(
        in slot: Int,
        make: (Slot) -> (number: UInt64, volume: ShownVolume)?
    ) -> (number: UInt64, volume: ShownVolume)? {
        state.withLock { state in
            if let known = state.volumes[slot] { return known }
            guard state.slots.indices.contains(slot), let made = make(state.slots[slot]) else { return nil }
            state.volumes[slot] = made
            return made
        }
    }

    /// The numbers of all volumes that were looked into.
    var volumeNumbers: [UInt64] {
        state.withLock { $0.volumes.values.map(\.number) }
    }

    /// The disk is gone: ends the file systems on it.
    func endVolumes() {
        for (_, volume) in state.withLock({ Array($0.volumes.values) }) { volume.end() }
    }

    // MARK: Passthrough

    /// The image file, lent to the kernel, if it is just what the disk is. Decided once, since open files of one node can't be some so and
    /// some not.
    func lentFile(by kernel: (any KernelCache)?) -> LentFile? {
        state.withLock { state in
            if case .undecided = state.passthrough {
                let lent = attachment.plain.flatMap { kernel?.lend($0.rawValue) }
                state.passthrough = lent.map { .through($0) } ?? .no
            }
            guard case .through(let file) = state.passthrough else { return nil }
            return file
        }
    }

    /// The disk is gone.
    func takeBackFile(from kernel: (any KernelCache)?) {
        let lent: LentFile? = state.withLock { state in
            defer { state.passthrough = .no }
            guard case .through(let file) = state.passthrough else { return nil }
            return file
        }
        if let lent { kernel?.takeBack(lent) }
    }

    // MARK: Open files

    /// A file of the disk has been opened. Returns whether its writes may go past the kernel's pages.
    ///
    /// Who only writes gains nothing from pages, and can't map them. But a store through a mapping brings back the page that such a write has
    /// just made the kernel drop, with what stood there before, and takes its bytes to the disk behind the write: so not while there may be one.
    @discardableResult
    func didOpen(_ node: NodeID, _ mode: OpenMode) -> Bool {
        state.withLock { state in
            state.openNodes[node, default: 0] += 1
            if mode.canMapStores { state.mappable += 1 }
            return mode.writes && !mode.reads && state.mappable == 0
        }
    }

    /// A file that can be written to has been opened; `didCloseWriter` must follow.
    func didOpenWriter(_ file: DiskFile) {
        state.withLock { $0.writers.append(file) }
    }

    func didCloseWriter(_ file: DiskFile) {
        state.withLock { $0.writers.removeAll { $0 === file } }
    }

    /// The file that a thread has just opened with O_TRUNC. The kernel does not say which, but it is the last one of that thread. All threads of
    /// other process namespaces have the number 0: then it is known only when there is one file.
    func truncatedWriter(_ node: NodeID, openedBy thread: Int32) -> DiskFile? {
        let meant = state.withLock { $0.writers.filter { $0.node == node && $0.openingThread == thread } }
        return thread == 0 && meant.count > 1 ? nil : meant.last
    }

    func didClose(_ node: NodeID, _ mode: OpenMode) {
        state.withLock { state in
            if mode.canMapStores { state.mappable -= 1 }
            let count = (state.openNodes[node] ?? 1) - 1
            state.openNodes[node] = count > 0 ? count : nil
        }
    }

    /// What the kernel has open of the disk.
    var openNodes: [NodeID] {
        state.withLock { Array($0.openNodes.keys) }
    }
}

extension OpenMode {
    /// Whether what is opened so can be changed through a mapping.
    fileprivate var canMapStores: Bool { reads && writes }
}
