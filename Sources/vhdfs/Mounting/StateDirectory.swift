internal import Platform
internal import SystemPackage
internal import VirtualDisk

/// Where permanent attachments are recorded.
enum StateDirectory {
    /// The place when none is given; nil when the user has no home.
    static var standard: FilePath? {
        if Credentials.isRoot { return "/var/lib/vhdfs" }
        if let folder = Surroundings.variable("XDG_STATE_HOME").map({ FilePath($0) }), folder.isAbsolute {
            return folder.appending("vhdfs")
        }
        return Surroundings.variable("HOME").map { FilePath($0).pushing(".local/state/vhdfs") }
    }

    /// Opens the journal of a mount point.
    ///
    /// - Returns: the journal, or, where the directory can't be made, the error for those who ask for `permanent`.
    /// - Throws: when the directory is there and not fit: someone else could have us open files.
    static func journal(
        in directory: FilePath?,
        mountPoint: FilePath
    ) throws(AttachError) -> Result<PermanentJournal, AttachError> {
        guard let directory else {
            let text = "permanent attachments can't be recorded: HOME is not set; say where with --state-dir"
            return .failure(AttachError(.pathNotFound, text))
        }
        do throws(PrivateDirectoryError) {
            _ = try openPrivateDirectory(directory)
        } catch .failed {
            do throws(AttachError) {
                return .success(try PermanentJournal(stateDirectory: directory, mountPoint: mountPoint))
            } catch {
                return .failure(error)
            }
        } catch {
            // The journal has the words for it.
        }
        return .success(try PermanentJournal(stateDirectory: directory, mountPoint: mountPoint))
    }
}
