internal import ArgumentParser
internal import Glibc
internal import Platform
internal import SystemPackage
internal import VirtualDisk

/// `vhdfs unmount MOUNTPOINT`.
struct UnmountVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unmount",
        _superCommandName: "vhdfs",
        abstract: "Unmount, and wait until every image is complete, closed and unlocked."
    )

    @Argument(help: "Where it is mounted.")
    var mountPoint: String

    func run() throws {
        let mountPoint = try MountedFileSystem.mount(at: UserPath.absolute(mountPoint)).mountPoint
        do throws(UnmountError) {
            try unmount(mountPoint, lazily: false)
        } catch .busy {
            let holders = FileHolders.holding(below: [mountPoint]).filter { $0.processID != getpid() }.map {
                "\($0.name) (pid \($0.processID))"
            }
            let names = holders.isEmpty ? "somebody" : holders.joined(separator: ", ")
            throw AttachError(.sharingViolation, "files of it are open: \(names)", path: mountPoint.string)
        } catch {
            throw error.attachError(mountPoint)
        }
        ServiceMark.waitForEnd(mountPoint)
    }
}
