internal import BlockDevice
internal import Platform

/// What is known of the partitions and volumes of a disk.
struct KnownContents: Sendable {
    /// What was found, and how often the disk had been written to before.
    var found: (version: UInt64, contents: DiskContents)?
    /// A thread is looking.
    var isLooking = false
}

extension Attachment {
    /// What is on the disk now; nothing if the request said that this host is to leave it alone (`no-local-host`).
    public func contents() -> DiskContents {
        contents(patience: nil) ?? DiskContents()
    }

    /// What is on the disk now; nil when its image has not answered in time.
    ///
    /// One thread looks, and whoever asks meanwhile waits for it: on an image that hangs, asking often must not pile up threads.
    func contents(patience: Duration?) -> DiskContents? {
        guard !flags.contains(.noLocalHost) else { return DiskContents() }
        let version = self.version
        let (known, mustLook) = knownContents.withState { state -> (DiskContents?, Bool) in
            if let found = state.found, found.version == version { return (found.contents, false) }
            guard !left.areMany else { return (nil, false) }
            defer { state.isLooking = true }
            return (nil, !state.isLooking)
        }
        if let known { return known }
        guard !left.areMany else { return nil }
        if mustLook, !startThread("contents", { self.look() }) { look() }
        return knownContents.wait(timeout: patience) { $0.isLooking ? nil : $0.found?.contents }
    }

    private func look() {
        let version = self.version
        let wasSilent = left.areMany
        let contents = DiskContents(of: self, logicalSectorSize: disk.logicalSectorSize)
        // What a host that does not answer has kept from us is for those who wait now only.
        let isLasting = !wasSilent && !left.areMany
        knownContents.update { state in
            state.found = (isLasting ? version : .max, contents)
            state.isLooking = false
        }
    }
}
