internal import CFuse
internal import FileSystem
internal import Glibc
internal import SystemPackage

/// GETXATTR.
func extendedAttribute(_ handle: fuse_req_t?, _ node: fuse_ino_t, _ name: UnsafePointer<CChar>?, _ room: Int) {
    unsafe answer(handle) { request, server throws(Errno) in
        guard let name = unsafe name else { throw .invalidArgument }
        let bytes = unsafe UnsafeRawBufferPointer(start: name, count: strlen(name))
        let value = try server.tree.extendedAttribute(unsafe Array(bytes), of: NodeID(rawValue: node))
        request.reply(value, room: room)
    }
}

/// LISTXATTR: the names one after the other, each with a NUL behind it.
func listExtendedAttributes(_ handle: fuse_req_t?, _ node: fuse_ino_t, _ room: Int) {
    unsafe answer(handle) { request, server throws(Errno) in
        let names = try server.tree.extendedAttributes(of: NodeID(rawValue: node))
        request.reply(names.flatMap { $0 + [0] }, room: room)
    }
}
