internal import BlockDevice
internal import Volumes

extension BlockDevice {
    /// Reads one block, whole.
    func block(at offset: UInt64, size: UInt64) throws(VolumeError) -> [UInt8] {
        let bytes: [UInt8]
        do {
            bytes = try readBytes(at: offset, count: Int(size))
        } catch {
            throw VolumeError(error)
        }
        guard bytes.count == Int(size) else {
            throw VolumeError(.damaged, "the block at \(offset) lies past the end of the volume")
        }
        return bytes
    }
}
