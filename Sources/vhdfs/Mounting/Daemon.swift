internal import DiskTree
internal import FUSEServer
internal import Logging
internal import Platform
internal import SystemPackage
internal import VirtualDisk
internal import VolumeTree
internal import Volumes

/// One mounted file system, from the start of its process to the end.
struct Daemon {
    private let plan: MountPlan

    init(_ plan: MountPlan) {
        self.plan = plan
    }

    /// Mounts, attaches, serves, and returns when the file system is unmounted. In the background only the daemon itself returns.
    ///
    /// The order matters: the fork needs a process without threads, signals must be blocked before the first thread, and the helper
    /// is started between the two.
    func run() throws(AttachError) {
        let manager = ServiceManager()
        let background = plan.isForeground ? nil : try Background.enter()
        Ending.signals.block()
        SignalSet.ignoreRefusedWrites()
        (plan.isForeground ? LogTarget.standardError : .system).install(level: plan.logLevel)
        Surroundings.leaveWorkingDirectory()
        let opener = try Self.opener()
        guard let background else { return try begin(opener, nil, manager) }
        try Background.runOnFreshThread { () throws(AttachError) in try begin(opener, background, manager) }
    }

    private func begin(
        _ opener: any FileOpener,
        _ background: Background?,
        _ manager: ServiceManager
    ) throws(AttachError) {
        let mountPoint = try resolvedMountPoint()
        let mark = ServiceMark(mountPoint)
        defer { withExtendedLifetime(mark) {} }
        try serve(at: mountPoint, opener, background, manager)
    }

    private func serve(
        at mountPoint: FilePath,
        _ opener: any FileOpener,
        _ background: Background?,
        _ manager: ServiceManager
    ) throws(AttachError) {
        let log = Logger(label: "vhdfs")
        let requester = try Requester(credentials: Self.credentials())
        let table = AttachmentTable(
            AttachmentTable.Configuration(
                policy: ManagePolicy(mountingUser: requester.credentials.user, group: plan.manageGroup),
                opener: opener,
                journal: try StateDirectory.journal(in: plan.stateDirectory, mountPoint: mountPoint),
                isReadOnly: plan.isReadOnly,
                mountPoint: mountPoint,
                patience: plan.patience
            ),
            log: log
        )
        table.reservePermanent()
        let cancellation = try Self.cancellation()
        let readers = VolumeReaders(timeZone: plan.timeZone, log: log)
        let volumes = VolumeOptions(keepsPermissions: plan.keepsPermissions, log: log) {
            (name, device, reader) throws(VolumeError) in try readers.open(name, device, reader)
        }
        let session = try Self.mount(DiskTree(table, volumes: volumes, log: log), plan, at: mountPoint)
        let ending = Ending(session, cancellation: cancellation, log: log)
        do throws(AttachError) {
            guard ending.watch() else { throw AttachError(FUSEError.noThread) }
            table.restorePermanent(cancellation: cancellation)
            let operands = Operands(
                table: table,
                words: plan.words,
                requester: requester,
                cancellation: cancellation,
                log: log
            )
            try operands.attach(plan.images)
            try background?.becomeReady()
        } catch {
            session.stop()
            ending.wait()
            table.endAll()
            throw error
        }
        log.info("mounted at \(mountPoint)")
        manager.tell(.ready)
        ending.wait()
        manager.tell(.stopping)
        let failures = table.endAll()
        ending.conclude()
        log.info("unmounted from \(mountPoint)")
        if let failure = failures.first { throw failure }
    }

    // MARK: The parts

    private static func opener() throws(AttachError) -> any FileOpener {
        guard Credentials.isRoot else { return DirectOpener() }
        do {
            return try HelperOpener.start()
        } catch {
            throw AttachError(error, "starting the process that opens files for others", path: "vhdfs")
        }
    }

    private static func credentials() throws(AttachError) -> Credentials {
        do {
            return try Credentials.current
        } catch {
            throw AttachError(error, path: "vhdfs")
        }
    }

    private static func cancellation() throws(AttachError) -> Cancellation {
        do {
            return try Cancellation()
        } catch {
            throw AttachError(error, path: "vhdfs")
        }
    }

    private func resolvedMountPoint() throws(AttachError) -> FilePath {
        do {
            let mountPoint = try UserPath.mountPoint(plan.mountPoint)
            try StaleMount.clear(mountPoint)
            // Only now: on a dead file system it fails.
            return try mountPoint.resolved()
        } catch let error as Errno {
            throw AttachError(error, "mount point", path: plan.mountPoint)
        } catch let error as AttachError {
            throw error
        } catch {
            throw AttachError(.pathNotFound, "\(error)", path: plan.mountPoint.string)
        }
    }

    /// Returns when the file system answers.
    private static func mount(
        _ tree: DiskTree,
        _ plan: MountPlan,
        at mountPoint: FilePath
    ) throws(AttachError) -> FUSESession {
        do {
            let options = MountOptions(
                mountPoint: mountPoint.string,
                fileSystemName: plan.fileSystemName,
                extra: plan.fuseOptions,
                lendsFiles: plan.lendsFiles,
                patience: plan.patience
            )
            let session = try FUSESession(tree: tree, options: options)
            try session.mount()
            let isReady = Monitor(false)
            try session.start { isReady.update { $0 = true } }
            guard isReady.wait(timeout: .seconds(30), until: { $0 ? true : nil }) != nil else {
                session.stop()
                throw FUSEError.refused("the kernel does not talk to it; was it unmounted at once?")
            }
            return session
        } catch let error as FUSEError {
            throw AttachError(error).at(mountPoint.string)
        } catch {
            throw AttachError(.operationAborted, "\(error)", path: mountPoint.string)
        }
    }
}

extension AttachError {
    /// Why mounting failed, with the Windows code that comes closest.
    init(_ error: FUSEError) {
        switch error {
        case .mountPoint(let path, let errno): self.init(errno, "mount point", path: FilePath(path))
        case .device(let errno) where errno == .permissionDenied || errno == .notPermitted:
            self.init(.accessDenied, "\(error)")
        case .device: self.init(.deviceDoesNotExist, "\(error)")
        case .helperMissing: self.init(.fileNotFound, "\(error)")
        case .accessByOthersForbidden: self.init(.privilegeNotHeld, "\(error)")
        case .invalidOption: self.init(.invalidParameter, "\(error)")
        case .refused: self.init(.accessDenied, "\(error)")
        case .noThread: self.init(.notEnoughMemory, "\(error)")
        }
    }
}
