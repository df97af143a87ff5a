internal import CFuse
internal import FileSystem
internal import Glibc
internal import SystemPackage

/// OPENDIR: the listing of this moment is what all READDIRs of the handle see.
func openDirectory(_ handle: fuse_req_t?, _ node: fuse_ino_t, _ info: UnsafeMutablePointer<fuse_file_info>?) {
    unsafe answer(handle) { request, server throws(Errno) in
        let directory = NodeID(rawValue: node)
        let inode = try server.tree.attributes(of: directory, file: nil).attributes.inode
        let own = [
            DirectoryEntry(name: ".", inode: inode, kind: .directory),
            DirectoryEntry(name: "..", inode: unknownInode, kind: .directory),
        ]
        let number = server.directories.insert(DirectoryHandle(own + (try server.tree.list(directory))))
        if !request.reply(openDirectory: number) { _ = server.directories.remove(number) }
    }
}

/// READDIR. An entry's offset is the index of the one after it.
func readDirectory(
    _ handle: fuse_req_t?,
    _ node: fuse_ino_t,
    _ size: Int,
    _ offset: off_t,
    _ info: UnsafeMutablePointer<fuse_file_info>?
) {
    guard let request = unsafe Request(handle), let number = unsafe info?.pointee.fh else { return }
    let wasFound: Void? = HandleTable<DirectoryHandle>.with(number) { directory in
        unsafe ReplyBuffer.withBytes(size) { buffer in
            var used = 0
            var attributes = stat()
            for index in max(0, Int(offset))..<max(0, Int(offset), directory.entries.count) {
                let entry = directory.entries[index]
                attributes.st_ino = UInt(entry.inode)
                attributes.st_mode = entry.kind.mode
                let place = unsafe buffer.baseAddress?.advanced(by: used).assumingMemoryBound(to: CChar.self)
                let room = buffer.count - used
                let need = unsafe fuse_add_direntry(
                    request.handle,
                    place,
                    room,
                    entry.name,
                    &attributes,
                    off_t(index + 1)
                )
                if need > room { break }
                used += need
            }
            unsafe request.reply(UnsafeRawBufferPointer(rebasing: buffer.prefix(used)))
        }
    }
    if wasFound == nil { request.fail(.badFileDescriptor) }
}

/// RELEASEDIR.
func releaseDirectory(_ handle: fuse_req_t?, _ node: fuse_ino_t, _ info: UnsafeMutablePointer<fuse_file_info>?) {
    unsafe answer(handle) { request, server in
        if let number = unsafe info?.pointee.fh { _ = server.directories.remove(number) }
        request.succeed()
    }
}

/// The inode number of `..`, which a directory doesn't know: libfuse's own value for it. Programs that care use `stat`.
private let unknownInode: UInt64 = 0xFFFF_FFFF
