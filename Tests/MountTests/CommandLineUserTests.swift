import Glibc
import TestSupport
import Testing

/// The same as an ordinary user, in a mount namespace where `/dev/fuse` is a node that everybody may open, as on most systems.
@Suite(.enabled(if: commandLineCanMount, commandLineMountReason))
struct CommandLineUserTests {
    /// Runs a script in which `as_user` runs a command as user 65534, in the scene's folder, which belongs to that user.
    private func run(_ scene: CommandLineScene, _ script: String) throws -> CommandResult {
        let surroundings = """
            chmod 755 "$FOLDER"; chown -R 65534:65534 "$FOLDER"; cd "$FOLDER"
            mknod -m 666 "$FOLDER/fuse" c 10 229; mount --bind "$FOLDER/fuse" /dev/fuse
            as_user() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }

            """
        return try scene.shellWithOwnMounts(surroundings + script)
    }

    @Test("A user mounts, attaches, lists and unmounts, and has a state directory at home")
    func session() throws {
        try withCommandLineScene { scene in
            let image = try scene.vhd("a.vhd", beginsWith: "hello")
            let result = try run(
                scene,
                """
                as_user "$VHDFS" a.vhd m
                grep -o user_id=65534 /proc/mounts
                as_user head -c 5 m/attached/a/disk; echo
                as_user "$VHDFS" detach a
                as_user "$VHDFS" attach a.vhd permanent
                as_user "$VHDFS" list
                as_user "$VHDFS" unmount m
                stat -c '%a %u' state/vhdfs
                as_user "$VHDFS" m; as_user "$VHDFS" list; as_user fusermount3 -u m
                """
            ).checked()
            let line = "a \(image) permanent\n"
            #expect(
                result.output == "user_id=65534\nhello\n\(scene.mountPoint)/attached/a\n\(line)700 65534\n\(line)"
            )
            #expect(commandLineEventually { scene.daemons.isEmpty })
        }
    }

    @Test("Root sees a user's mount only if that lets it, and is told so")
    func rootOutside() throws {
        try withCommandLineScene { scene in
            let result = try run(
                scene,
                """
                as_user "$VHDFS" m
                "$VHDFS" list --at m && exit 9
                as_user "$VHDFS" m && exit 8
                as_user "$VHDFS" unmount m
                """
            ).checked()
            #expect(result.errorOutput.contains("allow_root"), "\(result.errorOutput)")
            #expect(result.errorOutput.contains("already mounted"), "\(result.errorOutput)")
        }
    }

    @Test("A user cleans what their killed daemon left, not what another's left")
    func stale() throws {
        try withCommandLineScene { scene in
            let result = try run(
                scene,
                """
                as_user "$VHDFS" "$MOUNTPOINT"
                kill -9 $(pgrep -f "^$VHDFS $MOUNTPOINT\\$" -u 65534)
                while ls m 2>/dev/null; do sleep 0.01; done
                "$VHDFS" m --state-dir "$FOLDER/root" && exit 9
                as_user "$VHDFS" m
                as_user cat m/ctl > /dev/null
                as_user "$VHDFS" unmount m
                """
            ).checked()
            #expect(result.errorOutput.contains("a vhdfs of user 65534 is mounted there"), "\(result.errorOutput)")
        }
    }

    @Test("Only root can let a group attach; a user who asks for it is refused")
    func manageGroup() throws {
        try withCommandLineScene { scene in
            let result = try run(scene, "as_user \"$VHDFS\" m --manage-group 1 || echo $?")
            #expect(result.output == "64\n" && result.errorOutput.contains("--manage-group"))
        }
    }

    @Test("A file that the user may not open is ERROR_ACCESS_DENIED")
    func forbidden() throws {
        try withCommandLineScene { scene in
            try scene.vhd("a.vhd")
            let result = try run(scene, "chown 0:0 a.vhd; chmod 600 a.vhd; as_user \"$VHDFS\" a.vhd m")
            #expect(result.hasFailed("ERROR_ACCESS_DENIED", 5, about: "a.vhd"), "\(result.errorOutput)")
            #expect(scene.daemons.isEmpty)
        }
    }
}
