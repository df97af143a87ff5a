internal import BlockDevice
internal import ISO9660
internal import Logging
internal import Platform
internal import SystemPackage
internal import UDF
internal import VolumeProcess
internal import VolumeTree
internal import Volumes

/// Who reads which file system.
struct VolumeReaders: Sendable {
    private let launcher: VolumeLauncher

    /// Prepares the readers.
    ///
    /// - Parameter timeZone: what the local times of FAT are in.
    init(timeZone: String, log: Logger) {
        launcher = VolumeLauncher(program: Self.program, timeZone: timeZone, log: log)
    }

    /// `vhdfs-volume`: beside this program, or where `make install` puts it.
    private static var program: FilePath {
        let own = (try? FilePath("/proc/self/exe").linkTarget()) ?? FilePath("/usr/local/bin/vhdfs")
        let folder = own.removingLastComponent()
        let installed = folder.removingLastComponent().pushing("libexec/vhdfs/vhdfs-volume")
        let beside = folder.appending("vhdfs-volume")
        return Surroundings.exists(beside) ? beside : installed
    }

    /// Opens the file system of a volume.
    func open(
        _ name: String,
        _ device: any BlockDevice,
        _ reader: VolumeIdentity.Reader
    ) throws(VolumeError) -> any VolumeReader {
        switch reader {
        case .process(let fileSystem):
            return try ProcessVolume(name: name, device: device, fileSystem: fileSystem, launcher: launcher)
        case .iso9660: return try ISO9660Volume(device)
        case .udf: return try UDFVolume(device)
        case .bridge:
            // Windows' install media have a single README on their ISO side.
            guard let iso = try? ISO9660Volume(device) else { return try UDFVolume(device) }
            return iso.isStub ? try UDFVolume(device) : iso
        case .none:
            throw VolumeError(.unsupported, "nobody here reads this file system")
        }
    }
}
