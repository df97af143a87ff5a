internal import CFuse
internal import FileSystem
internal import Glibc
internal import SystemPackage

/// OPENDIR: the listing of this moment is what all READDIRs of the handle see, until it is rewound.
func openDirectory(_ handle: fuse_req_t?, _ node: fuse_ino_t, _ info: UnsafeMutablePointer<fuse_file_info>?) {
    unsafe answer(handle) { request, server throws(Errno) in
        let directory = NodeID(rawValue: node)
        let inode = try server.tree.attributes(of: directory, file: nil).attributes.inode
        let open = DirectoryHandle(try server.tree.list(directory), inode: inode)
        let number = server.directories.insert(open)
        if !request.reply(openDirectory: number, isLasting: open.isLasting) {
            _ = server.directories.remove(number)
        }
    }
}

/// READDIR.
func readDirectory(
    _ handle: fuse_req_t?,
    _ node: fuse_ino_t,
    _ size: Int,
    _ offset: off_t,
    _ info: UnsafeMutablePointer<fuse_file_info>?
) {
    unsafe fillListing(handle, node, size, offset, info) { request, directory, index, place, room in
        let entry = directory.entry(at: index)
        var attributes = fuse_entry_param(entry).attr
        return unsafe fuse_add_direntry(request.handle, place, room, entry.name, &attributes, off_t(index + 1))
    }
}

/// READDIRPLUS: names, and for those whose attributes are at hand the answer to a look-up too.
///
/// The kernel counts such a look-up like any other. Nothing keeps that count here: a node is what its number says.
func readDirectoryWithAttributes(
    _ handle: fuse_req_t?,
    _ node: fuse_ino_t,
    _ size: Int,
    _ offset: off_t,
    _ info: UnsafeMutablePointer<fuse_file_info>?
) {
    unsafe fillListing(handle, node, size, offset, info) { request, directory, index, place, room in
        let entry = directory.entry(at: index)
        var parameters = directory.lookup(at: index).map { fuse_entry_param($0) } ?? fuse_entry_param(entry)
        return unsafe fuse_add_direntry_plus(
            request.handle,
            place,
            room,
            entry.name,
            &parameters,
            off_t(index + 1)
        )
    }
}

/// RELEASEDIR.
func releaseDirectory(_ handle: fuse_req_t?, _ node: fuse_ino_t, _ info: UnsafeMutablePointer<fuse_file_info>?) {
    unsafe answer(handle) { request, server in
        if let number = unsafe info?.pointee.fh { _ = server.directories.remove(number) }
        request.succeed()
    }
}

/// Puts as many names into an answer as it takes. A name's offset is the index of the one after it.
///
/// `add` says how many bytes a name needs; what needs more than the room that is left has not been added.
private func fillListing(
    _ handle: fuse_req_t?,
    _ node: fuse_ino_t,
    _ size: Int,
    _ offset: off_t,
    _ info: UnsafeMutablePointer<fuse_file_info>?,
    add: (Request, Listing, Int, UnsafeMutablePointer<CChar>?, Int) -> Int
) {
    guard let request = unsafe Request(handle), let number = unsafe info?.pointee.fh else { return }
    let wasFound: Void? = HandleTable<DirectoryHandle>.with(number) { open in
        let first = max(0, Int(offset))
        let directory: Listing
        do throws(Errno) {
            directory = try open.listing(from: first) { () throws(Errno) in
                try request.server.tree.list(NodeID(rawValue: node))
            }
        } catch {
            return request.fail(error)
        }
        unsafe ReplyBuffer.withBytes(size) { buffer in
            var used = 0
            for index in first..<max(first, directory.count) {
                let place = unsafe buffer.baseAddress?.advanced(by: used).assumingMemoryBound(to: CChar.self)
                let room = buffer.count - used
                let need = unsafe add(request, directory, index, place, room)
                if need > room { break }
                used += need
            }
            unsafe request.reply(UnsafeRawBufferPointer(rebasing: buffer.prefix(used)))
        }
    }
    if wasFound == nil { request.fail(.badFileDescriptor) }
}
