internal import BlockDevice
internal import Platform
internal import Synchronization

/// The end of an attachment. One thread at a time brings it about: `beginEnd`, then the image is made complete, then `end`, or `cancelEnd`.
///
/// Locks on the files are given up last: when nothing writes to them any more, and nothing can.
extension Attachment {
    /// How long an end waits for writes that are running.
    private static let patience = Duration.seconds(10)

    enum Begin {
        /// New writes are refused; the caller must call `end` or `cancelEnd`.
        case begun
        /// Files of it are open, and the caller does not want it then.
        case isOpen
        /// Someone else has ended it.
        case isOver
    }

    /// Claims the end. Waits while another thread is at it: that one may take it back.
    func beginEnd(unlessOpen: Bool) -> Begin {
        let begin: Begin? = activity.wait { activity in
            if activity.hasEnded { return .isOver }
            if activity.isEnding { return nil }
            if unlessOpen, activity.openFiles > 0 { return .isOpen }
            activity.isEnding = true
            phase.store(Phase.lingering.rawValue, ordering: .releasing)
            return .begun
        }
        return begin ?? .isOver
    }

    /// Waits for writes that were running when the end began; false when some are still at it after ten seconds.
    func waitForWrites() -> Bool {
        activity.wait(timeout: Self.patience) { $0.writesRunning == 0 ? true : nil } ?? false
    }

    /// Takes the end back: the detach has failed.
    func cancelEnd() {
        activity.update { activity in
            activity.isEnding = false
            phase.store(Phase.attached.rawValue, ordering: .releasing)
        }
    }

    /// Ends it, for good, or so that files that are open can be read to their end.
    func end(_ newPhase: Phase) {
        let lockChange = activity.update { activity in
            activity.isEnding = false
            activity.hasEnded = true
            phase.store(newPhase.rawValue, ordering: .releasing)
            return settle(&activity)
        }
        change(lockChange)
    }

    /// What is to be done with the locks on the files, and with the files.
    enum LockChange {
        case share
        case release
    }

    /// Does what the state asks for: a lingering disk of which nothing is open is over; one that is over takes no writes; and when none
    /// is running, the locks go.
    ///
    /// - Returns: what is to be done with the locks, by `change`, when the state is not held any more.
    func settle(_ activity: inout Activity) -> LockChange? {
        guard activity.hasEnded else { return nil }
        if activity.openFiles == 0 { phase.store(Phase.ended.rawValue, ordering: .releasing) }
        disk.chain.close()
        disk.writeGate.end()
        guard activity.writesRunning == 0, activity.syncsRunning == 0 else { return nil }
        if phase.load(ordering: .relaxed) == Phase.ended.rawValue {
            guard activity.locks != .released else { return nil }
            activity.locks = .released
            return .release
        }
        guard activity.locks == .held else { return nil }
        activity.locks = .shared
        return .share
    }

    /// Changes the locks on the files. A host that hangs may hold up its caller.
    func change(_ locks: LockChange?) {
        switch locks {
        case .release:
            // Closed too: who holds a dead disk open must not keep the host's file system from being unmounted.
            for lock in disk.locks {
                lock.release()
                lock.file.closeEarly()
            }
            disk.leaf.descriptor.closeEarly()
        case .share:
            // What can't be downgraded is given up; the reads that are left go on without it.
            for lock in disk.locks { try? lock.downgrade() }
        case nil: break
        }
    }

    /// Makes everything durable and the image file as it should be left, if anything was written since that was last done.
    func complete() throws(DiskError) {
        try completing.withLock { (_) throws(DiskError) in
            guard isDirty.exchange(false, ordering: .acquiringAndReleasing) else { return }
            do throws(DiskError) {
                try countingSync { () throws(DiskError) in try disk.chain.finish() }
            } catch {
                isDirty.store(true, ordering: .releasing)
                throw error
            }
        }
    }

    /// Keeps the locks and the files while something is made durable.
    func countingSync(_ body: () throws(DiskError) -> Void) throws(DiskError) {
        activity.update { $0.syncsRunning += 1 }
        defer {
            let lockChange = activity.update { activity in
                activity.syncsRunning -= 1
                return settle(&activity)
            }
            change(lockChange)
        }
        try body()
    }
}
