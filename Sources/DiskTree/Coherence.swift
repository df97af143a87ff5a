internal import FileSystem
internal import Platform
internal import Synchronization

/// Keeps the kernel's pages of a disk and of its partitions the same: they are different files for the kernel, and the same bytes.
///
/// After a write through one of them the kernel is told to forget those bytes of the others, before the write is answered. That is done by a
/// thread of its own, because the kernel may first have to wait for a page that is being read or written, which takes a worker. When two
/// programs write the same bytes through different files at the same time, both pages may be waited for in a circle: so the wait has an end, and
/// the answer to the one write lets the other go on.
final class Coherence: Sendable {
    /// How long a write waits for the kernel to forget.
    private static let patience = Duration.seconds(1)

    private struct View: Sendable {
        var node: NodeID
        var range: Range<UInt64>
    }

    private struct Work: Sendable {
        var queue: [(node: NodeID, range: Range<UInt64>)] = []
        var queued: UInt64 = 0
        var done: UInt64 = 0
        var isRunning = false
    }

    private let views = Locked<[View]>([])
    private let viewCount = Atomic(0)
    private let work = Monitor(Work())

    /// A file of the disk has been opened for reading, so that the kernel may keep pages of it from now on.
    func didOpen(_ node: NodeID, range: Range<UInt64>) {
        views.withLock { views in
            guard !views.contains(where: { $0.node == node }) else { return }
            views.append(View(node: node, range: range))
            viewCount.store(views.count, ordering: .releasing)
        }
    }

    /// Bytes of the disk have been changed through the kernel's pages of a file, which have the new bytes; nil when through none.
    func didChange(_ range: Range<UInt64>, throughPagesOf node: NodeID?, kernel: (any KernelCache)?) {
        guard viewCount.load(ordering: .acquiring) > (node == nil ? 0 : 1), let kernel else { return }
        let others = views.withLock { views in
            views.filter { $0.node != node && $0.range.overlaps(range) }
        }
        guard !others.isEmpty else { return }
        let (last, starts) = work.update { work in
            for view in others {
                let common = view.range.clamped(to: range)
                let start = view.range.lowerBound
                work.queue.append((view.node, common.lowerBound - start..<common.upperBound - start))
            }
            work.queued += UInt64(others.count)
            let starts = !work.isRunning
            work.isRunning = true
            return (work.queued, starts)
        }
        if starts, !startThread("coherence", { [self] in run(kernel, patience: .seconds(5)) }) {
            run(kernel, patience: .zero)
        }
        let _: Bool? = work.wait(timeout: Self.patience) { $0.done >= last ? true : nil }
    }

    /// Works the queue off, in its order, until nothing more has come for a while.
    private func run(_ kernel: any KernelCache, patience: Duration) {
        while true {
            let _: Bool? = work.wait(timeout: patience) { $0.queue.isEmpty ? nil : true }
            let next = work.update { work in
                work.isRunning = !work.queue.isEmpty
                return work.isRunning ? work.queue.removeFirst() : nil
            }
            guard let next else { return }
            kernel.invalidate(next.node, range: next.range)
            work.update { $0.done += 1 }
        }
    }
}
