internal import BlockDevice
internal import FileSystem
internal import Platform
internal import SystemPackage
internal import VirtualDisk

extension Attachment {
    /// What `stat` tells about an item of the disk; `size` is a partition's.
    func answer(_ item: DiskItem, _ place: Place, size: UInt64) -> AttributeAnswer {
        var attributes = Attributes(
            inode: place.inode,
            kind: item.kind,
            permissions: 0o777,
            owner: access.owner,
            group: access.group,
            modified: Timestamp(seconds: attachedAt)
        )
        switch item {
        case .folder, .volumes, .volume:
            attributes.permissions = access.mode(of: 0o555)
            attributes.linkCount = 2
        case .disk, .partition:
            attributes.permissions = access.mode
            attributes.size = size
            // A host that does not tell costs the user two numbers, not the disk.
            if let usage = try? usage() {
                attributes.allocatedBytes = min(usage.allocatedBytes, size)
                attributes.modified = Timestamp(
                    seconds: usage.modifiedSeconds,
                    nanoseconds: usage.modifiedNanoseconds
                )
            }
            return AttributeAnswer(attributes, validity: isReadOnly ? DiskTree.long : 1)
        case .info:
            attributes.permissions = access.mode(of: 0o444)
            attributes.size = UInt64(facts.text.count)
        case .infoJSON:
            attributes.permissions = access.mode(of: 0o444)
            attributes.size = UInt64(facts.json.count)
        case .image:
            attributes.size = UInt64(imagePath.bytes.count)
        }
        return AttributeAnswer(attributes, validity: item == .info || item == .infoJSON ? 0 : DiskTree.long)
    }
}
