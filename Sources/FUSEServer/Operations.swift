internal import CFuse
internal import FileSystem
internal import Synchronization
internal import SystemPackage

/// The table of operations for libfuse.
///
/// Every entry is a global function: a closure from a main-actor context would trap on a worker's thread. What is absent here is answered
/// with ENOSYS by libfuse, and the kernel then does without: locks (its own), FSYNCDIR (done).
func lowLevelOperations() -> fuse_lowlevel_ops {
    var operations = fuse_lowlevel_ops()
    unsafe operations.`init` = initialize
    unsafe operations.lookup = lookup
    unsafe operations.forget = forget
    unsafe operations.forget_multi = forgetMany
    unsafe operations.getattr = getAttributes
    unsafe operations.setattr = setAttributes
    unsafe operations.readlink = readLink
    unsafe operations.statfs = statistics

    unsafe operations.open = open
    unsafe operations.write = write
    unsafe operations.flush = flush
    unsafe operations.release = release
    unsafe operations.fsync = synchronize
    unsafe operations.lseek = seek
    unsafe operations.fallocate = allocate

    unsafe operations.opendir = openDirectory
    unsafe operations.readdir = readDirectory
    unsafe operations.readdirplus = readDirectoryWithAttributes
    unsafe operations.releasedir = releaseDirectory

    unsafe operations.getxattr = extendedAttribute
    unsafe operations.listxattr = listExtendedAttributes

    unsafe operations.mkdir = { request, _, _, _ in unsafe refuse(request) }
    unsafe operations.mknod = { request, _, _, _, _ in unsafe refuse(request) }
    unsafe operations.create = { request, _, _, _, _ in unsafe refuse(request) }
    unsafe operations.symlink = { request, _, _, _ in unsafe refuse(request) }
    unsafe operations.link = { request, _, _, _ in unsafe refuse(request) }
    unsafe operations.unlink = { request, _, _ in unsafe refuse(request) }
    unsafe operations.rmdir = { request, _, _ in unsafe refuse(request) }
    unsafe operations.rename = { request, _, _, _, _, _ in unsafe refuse(request) }
    unsafe operations.setxattr = { request, _, _, _, _, _ in unsafe refuse(request) }
    unsafe operations.removexattr = { request, _, _ in unsafe refuse(request) }
    return operations
}

/// The names of the tree are the tree's own business.
private func refuse(_ handle: fuse_req_t?) {
    unsafe Request(handle)?.fail(.notPermitted)
}

/// INIT: agrees with the kernel on sizes and habits.
private func initialize(_ context: UnsafeMutableRawPointer?, _ connection: UnsafeMutablePointer<fuse_conn_info>?) {
    guard let context = unsafe context, let connection = unsafe connection else { return }
    let server = unsafe Unmanaged<Server>.fromOpaque(context).takeUnretainedValue()
    unsafe connection.pointee.max_read = UInt32(server.readLimit)
    unsafe connection.pointee.max_write = UInt32(MountOptions.maximumWrite)
    // Read-ahead of many readers at once is not to queue up in the kernel while workers idle; and background requests to an image that
    // hangs are never to take all of them, because `ctl` needs one.
    unsafe connection.pointee.max_background = UInt32(WorkerPool.limit / 2)

    // Several reads of one caller at a time, and lookups in one directory; listings with attributes, for programs that look at those too.
    let wanted =
        FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_READDIRPLUS
        | FUSE_CAP_READDIRPLUS_AUTO
    // Splicing gains nothing here and may take an image's pages out of the page cache. Our own writes move the mtime, which is no reason to
    // drop pages: we say when they are stale. `O_TRUNC` has to come as a SETATTR of its own. The kernel is not to keep written bytes to
    // itself.
    let unwanted =
        FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE | FUSE_CAP_AUTO_INVAL_DATA
        | FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_WRITEBACK_CACHE
    let offered = unsafe connection.pointee.capable
    unsafe connection.pointee.want |= UInt32(wanted) & offered
    unsafe connection.pointee.want &= ~UInt32(unwanted)
    server.isInitialized.store(true, ordering: .releasing)
}

/// STATFS.
private func statistics(_ handle: fuse_req_t?, _ node: fuse_ino_t) {
    unsafe answer(handle) { request, server throws(Errno) in
        request.reply(try server.tree.statistics(of: NodeID(rawValue: node)))
    }
}
