internal import FileSystem
internal import Platform
internal import Synchronization

/// Keeps the kernel's pages of a disk and of its partitions the same: they are different files for the kernel, and the same bytes.
///
/// After a write through one of them the kernel is told to forget those bytes of the others, before the write is answered. That is done by a
/// thread of its own, because the kernel may first have to wait for a page that is being read or written, which takes a worker. When that is the
/// page of a write which itself waits for the thread, that write is answered first. Whatever else may hang, a wait has an end.
final class Coherence: Sendable {
    /// How long a write waits for the kernel to forget.
    private static let patience = Duration.seconds(1)
    /// How long the thread stays when there is nothing to do.
    private static let idleTime = Duration.seconds(5)

    private struct View: Sendable {
        var node: NodeID
        var range: Range<UInt64>
        /// It has been opened without O_DIRECT.
        var isBuffered: Bool
    }

    /// Bytes of a file that the kernel is to forget.
    private struct Job: Sendable {
        var node: NodeID
        var range: Range<UInt64>

        /// The kernel locks as much at once, at most: the largest folio.
        private static let folio: UInt64 = 2 << 20

        func mayWait(for other: Job?) -> Bool {
            guard let other else { return false }
            return node == other.node && range.lowerBound / Self.folio <= other.range.upperBound / Self.folio
                && other.range.lowerBound / Self.folio <= range.upperBound / Self.folio
        }
    }

    private struct Work: Sendable {
        /// Longer than this, and jobs of one file are put together.
        private static let limit = 256

        var queue: [Job] = []
        /// What the thread is at.
        var current: Job?
        var queued: UInt64 = 0
        var done: UInt64 = 0
        var isRunning = false

        mutating func add(_ job: Job) {
            if queue.count >= Self.limit, let known = queue.lastIndex(where: { $0.node == job.node }) {
                let old = queue[known].range
                queue[known].range =
                    min(old.lowerBound, job.range.lowerBound)..<max(old.upperBound, job.range.upperBound)
            } else {
                queue.append(job)
                queued += 1
            }
        }

        /// Whether the caller is to start the thread.
        mutating func claim() -> Bool {
            defer { isRunning = true }
            return !isRunning
        }
    }

    private let views = Locked<[View]>([])
    private let viewCount = Atomic(0)
    private let work = Monitor(Work())

    /// A file of the disk has been opened, so that the kernel may keep pages of it from now on.
    func didOpen(_ node: NodeID, range: Range<UInt64>, isDirect: Bool) {
        views.withLock { views in
            if let known = views.firstIndex(where: { $0.node == node }) {
                if !isDirect { views[known].isBuffered = true }
                return
            }
            views.append(View(node: node, range: range, isBuffered: !isDirect))
            viewCount.store(views.count, ordering: .releasing)
        }
    }

    /// Bytes of the disk have been changed through a file.
    func didChange(_ range: Range<UInt64>, through node: NodeID, _ origin: WriteOrigin, kernel: (any KernelCache)?) {
        guard viewCount.load(ordering: .acquiring) > (origin == .direct ? 0 : 1), let kernel else { return }
        let (others, own) = views.withLock { views in
            let meant = views.filter { $0.range.overlaps(range) }
            return (meant.filter { $0.node != node }, meant.first { $0.node == node })
        }
        let ownJob = own.map { Self.job($0, range) }
        // The kernel drops pages itself after a direct write, but not after one of `io_submit`.
        let isOwnStale = origin == .direct && own?.isBuffered == true
        guard !others.isEmpty || isOwnStale else { return }
        guard start(kernel) else {
            // Here and now, but for pages that may be locked until this write is answered.
            for view in others { kernel.invalidate(view.node, range: Self.job(view, range).range) }
            if isOwnStale, let ownJob { kernel.invalidate(node, range: ownJob.range) }
            return
        }
        let last = work.update { work in
            for view in others { work.add(Self.job(view, range)) }
            if isOwnStale, let ownJob { work.add(ownJob) }
            let last = work.queued
            // Others' writes make the kernel drop this file's pages too, maybe between its copying these bytes there and our storing them; then
            // it may have read the old ones again. The page may be locked until the write is answered, so that is not waited for.
            if origin == .buffer, let ownJob { work.add(ownJob) }
            return last
        }
        Waiting.announce {
            let _: Bool? = work.wait(timeout: Self.patience) { work in
                work.done >= last || (origin != .direct && ownJob?.mayWait(for: work.current) == true) ? true : nil
            }
        }
    }

    /// A write of which its caller has been told that it failed has come through after all: what was read in between is old.
    func didChangeLate(kernel: (any KernelCache)?) {
        let views = views.withLock { $0 }
        guard !views.isEmpty, let kernel else { return }
        guard start(kernel) else {
            // Nobody waits for this thread's request, so no page is locked for it.
            for view in views { kernel.invalidate(view.node, range: Self.job(view, view.range).range) }
            return
        }
        let last = work.update { work in
            for view in views { work.add(Self.job(view, view.range)) }
            return work.queued
        }
        let _: Bool? = Waiting.announce { work.wait(timeout: Self.patience) { $0.done >= last ? true : nil } }
    }

    /// A write of pages has failed: they hold bytes that the disk has not. Nobody waits, because they are locked until the write is answered.
    func didFail(_ range: Range<UInt64>, of node: NodeID, kernel: (any KernelCache)?) {
        let own = views.withLock { $0.first { $0.node == node && $0.range.overlaps(range) } }
        guard let own, let kernel, start(kernel) else { return }
        work.update { $0.add(Self.job(own, range)) }
    }

    /// Sees to it that the thread is there; false when the host can't give one.
    private func start(_ kernel: any KernelCache) -> Bool {
        guard work.update({ $0.claim() }) else { return true }
        let hasStarted = startThread("coherence") { [self] in run(kernel) }
        if !hasStarted { work.update { $0.isRunning = false } }
        return hasStarted
    }

    private static func job(_ view: View, _ range: Range<UInt64>) -> Job {
        let (common, start) = (view.range.clamped(to: range), view.range.lowerBound)
        return Job(node: view.node, range: common.lowerBound - start..<common.upperBound - start)
    }

    /// Works the queue off, in its order, until nothing more has come for a while.
    private func run(_ kernel: any KernelCache) {
        while true {
            let _: Bool? = work.wait(timeout: Self.idleTime) { $0.queue.isEmpty ? nil : true }
            let next = work.update { work in
                work.isRunning = !work.queue.isEmpty
                work.current = work.isRunning ? work.queue.removeFirst() : nil
                return work.current
            }
            guard let next else { return }
            kernel.invalidate(next.node, range: next.range)
            work.update { work in
                work.current = nil
                work.done += 1
            }
        }
    }
}
