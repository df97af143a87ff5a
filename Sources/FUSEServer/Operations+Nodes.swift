internal import CFuse
internal import FileSystem
internal import SystemPackage

/// LOOKUP. A name that isn't UTF-8 is none of ours.
func lookup(_ handle: fuse_req_t?, _ directory: fuse_ino_t, _ name: UnsafePointer<CChar>?) {
    unsafe answer(handle) { request, server throws(Errno) in
        guard let bytes = unsafe name, let name = unsafe String(validatingCString: bytes) else {
            throw .noSuchFileOrDirectory
        }
        let entry: Entry
        do throws(Errno) {
            entry = try server.tree.lookup(name, in: NodeID(rawValue: directory))
        } catch {
            let isTooLong = error == .noSuchFileOrDirectory && name.utf8.count > usualNameLimit
            throw isTooLong ? .fileNameTooLong : error
        }
        if !request.reply(entry) { server.tree.forget(entry.node, count: 1) }
    }
}

/// What `statvfs` tells (`f_namemax`). Volumes may have longer names, in UTF-8, and the kernel takes 1024 bytes; so it tells only why there is none.
let usualNameLimit = 255

/// FORGET; it has no answer.
func forget(_ handle: fuse_req_t?, _ node: fuse_ino_t, _ count: UInt64) {
    unsafe answer(handle) { request, server in
        server.tree.forget(NodeID(rawValue: node), count: count)
        unsafe fuse_reply_none(request.handle)
    }
}

/// BATCH_FORGET; it has no answer.
func forgetMany(_ handle: fuse_req_t?, _ count: Int, _ nodes: UnsafeMutablePointer<fuse_forget_data>?) {
    unsafe answer(handle) { request, server in
        let nodes = unsafe UnsafeBufferPointer(start: nodes, count: count)
        for index in nodes.indices {
            let node = unsafe nodes[index]
            server.tree.forget(NodeID(rawValue: node.ino), count: node.nlookup)
        }
        unsafe fuse_reply_none(request.handle)
    }
}

/// GETATTR.
func getAttributes(_ handle: fuse_req_t?, _ node: fuse_ino_t, _ info: UnsafeMutablePointer<fuse_file_info>?) {
    unsafe answer(handle) { request, server throws(Errno) in
        let file = unsafe openFile(info)
        request.reply(try server.tree.attributes(of: NodeID(rawValue: node), file: file))
    }
}

/// SETATTR: `chmod`, `chown`, `truncate`, `ftruncate`, `utimens`, `open(O_TRUNC)`.
func setAttributes(
    _ handle: fuse_req_t?,
    _ node: fuse_ino_t,
    _ values: UnsafeMutablePointer<stat>?,
    _ which: Int32,
    _ info: UnsafeMutablePointer<fuse_file_info>?
) {
    unsafe answer(handle) { request, server throws(Errno) in
        guard let values = unsafe values?.pointee else { throw .invalidArgument }
        let times = FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_CTIME
        let changes = AttributeChanges(
            permissions: which & FUSE_SET_ATTR_MODE != 0 ? UInt16(values.st_mode & 0o7777) : nil,
            owner: which & FUSE_SET_ATTR_UID != 0 ? values.st_uid : nil,
            group: which & FUSE_SET_ATTR_GID != 0 ? values.st_gid : nil,
            size: which & FUSE_SET_ATTR_SIZE != 0 ? UInt64(clamping: values.st_size) : nil,
            times: which & times != 0
        )
        let answer = try server.tree.change(
            changes,
            of: NodeID(rawValue: node),
            file: unsafe openFile(info),
            caller: request.caller
        )
        request.reply(answer)
    }
}

/// READLINK.
func readLink(_ handle: fuse_req_t?, _ node: fuse_ino_t) {
    unsafe answer(handle) { request, server throws(Errno) in
        request.reply(linkTarget: try server.tree.linkTarget(of: NodeID(rawValue: node)))
    }
}

/// The open file that a request came through, if it came through one.
private func openFile(_ info: UnsafeMutablePointer<fuse_file_info>?) -> (any OpenFile)? {
    guard let info = unsafe info else { return nil }
    return unsafe HandleTable<FileHandle>.with(info.pointee.fh) { $0.file }
}
