import TestSupport
import Testing

/// `packaging/systemd/vhdfs@.service`: what it says, and that the daemon lives with it.
@Suite(.timeLimit(.minutes(10)))
struct ServiceMountTests {
    private static let unit = TestImages.packageFolder + "/packaging/systemd/vhdfs@.service"

    private static let hasSystemd = (try? run("systemd-analyze", "--version").succeeded) == true

    /// With a mount namespace of its own nobody outside would see what the service mounts, and it would refuse all requests.
    @Test func itGetsNoMountNamespace() throws {
        let settings = CommandLineScene.lines(of: Self.unit).filter { !$0.hasPrefix("#") }
        #expect(settings.contains("KillMode=mixed") && settings.contains("NoNewPrivileges=yes"))
        for word in [
            "ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices", "PrivateMounts", "PrivateUsers",
            "PrivateIPC", "ProtectProc",
            "ProcSubset", "ProtectKernel", "ProtectControlGroups", "MountFlags", "MountAPIVFS", "Root", "Bind",
            "TemporaryFileSystem",
            "ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths", "ExecPaths", "NoExecPaths", "DynamicUser",
            "LogNamespace",
            "LoadCredential", "SetCredential", "RuntimeDirectory",
        ] {
            #expect(!settings.contains { $0.hasPrefix(word) }, "\(word)")
        }
    }

    @Test(.enabled(if: hasSystemd, "systemd-analyze is not there"))
    func systemdUnderstandsIt() throws {
        try withScratchFolder { scratch in
            // The program is to be where the unit says.
            try run("mkdir", "-p", scratch.path("usr/local/bin"), scratch.path("unit")).checked()
            try run("cp", "/bin/true", scratch.path("usr/local/bin/vhdfs")).checked()
            let script = """
                sed "s|/usr/local/bin/|$0/usr/local/bin/|g" "$1" > "$0/unit/vhdfs@.service"
                systemd-analyze verify --man=no "$0/unit/vhdfs@.service"
                """
            let verified = try run("bash", "-euc", script, scratch.path, Self.unit)
            #expect(verified.succeeded && verified.errorOutput.isEmpty, "\(verified.errorOutput)")
            // The lower the better; what is left is what a mount for everybody needs.
            let security = try run(
                "systemd-analyze",
                "security",
                "--offline=true",
                "--threshold=45",
                scratch.path("unit/vhdfs@.service")
            )
            #expect(security.succeeded, "\(security.output)\n\(security.errorOutput)")
        }
    }

    @Test(.enabled(if: canMount, needsRoot))
    func theDaemonLivesWithItsRestrictions() throws {
        try withScratchFolder { scratch in
            try run("chmod", "0755", scratch.path).checked()
            for name in ["a", "theirs"] {
                try scratch.write(VHDBuilder(.dynamic, size: 1 << 20).build().content, to: "\(name).vhd")
            }
            let script = """
                cd "$S"
                fail() { echo "FAILED: $*; $(cat log)" >&2; exit 99; }
                # The rights that the unit leaves, and a host that can't be written to but where it must.
                bounds=-all
                for right in $(sed -n 's/^CapabilityBoundingSet=//p' "$UNIT"); do
                    right=${right#CAP_}; bounds+=,+${right,,}
                done
                mkdir mount state; chmod 700 state; chown 4000 theirs.vhd; chmod 600 theirs.vhd
                cp "$VHDFS" "$VHDFS-volume" .
                truncate -s 20M fs.img; mkdir files; echo inside > files/file; mke2fs -q -t ext4 -d files fs.img
                awk '/ fuse.vhdfs / { print $5 }' /proc/self/mountinfo | while read -r other; do umount -l "$other" || true; done
                for folder in /usr /etc /var; do mount --bind $folder $folder; mount -o remount,bind,ro $folder; done
                # systemd's side of Type=notify.
                python3 -c 'import socket
                s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("notify"); s.settimeout(60)
                open("listening", "w")
                for _ in range(2): open("news", "ab").write(s.recv(100) + b"\\n")' &
                for _ in $(seq 500); do ! test -e listening || break; sleep 0.02; done
                (umask 077; NOTIFY_SOCKET=$PWD/notify exec setpriv --no-new-privs --inh-caps=-all --bounding-set=$bounds \\
                    ./vhdfs --foreground --state-dir "$PWD/state" -o allow_other --manage-group 7000 mount 2> log) &
                daemon=$!
                trap 'kill $(jobs -p) 2> /dev/null || true; wait; umount -l mount 2> /dev/null || true' EXIT
                for _ in $(seq 1500); do ! grep -qs READY=1 news || break; kill -0 $daemon || fail 'it has ended'; sleep 0.02; done
                grep -q READY=1 news || fail 'not ready'
                mountpoint -q mount || fail 'ready and not mounted'
                grep -q 'NoNewPrivs:.1' /proc/$daemon/status
                member() { setpriv --reuid=4000 --regid=4000 --groups=7000 "$@"; }
                echo "attach $PWD/a.vhd" > mount/ctl
                echo written | dd of=mount/attached/a/disk conv=notrunc,fsync status=none
                test "$(head -n 1 mount/attached/a/disk)" = written
                # Opened as another user, from that user's folder; recorded; read by the process that has no rights.
                member bash -c 'echo "attach theirs.vhd permanent" > mount/ctl'
                member cat mount/attached/theirs/disk > /dev/null
                # Root's own request opens what is another's.
                cp theirs.vhd kept.vhd; chown 4000 kept.vhd; chmod 600 kept.vhd
                echo "attach $PWD/kept.vhd name=kept" > mount/ctl
                echo "attach $PWD/fs.img readonly type=raw" > mount/ctl
                test "$(cat mount/mounts/fs/p0/file)" = inside || fail 'files'
                # Who has it open is found out, for the answer.
                exec 5< mount/attached/theirs/disk
                if (echo 'detach theirs' > mount/ctl) 2> /dev/null; then fail 'busy'; fi
                grep -q '^# error 32 .*bash' mount/ctl || fail 'holder not named'
                exec 5<&-
                for name in a theirs fs kept; do echo "detach $name" > mount/ctl; done
                kill $daemon
                wait $daemon || fail "status $?"
                wait
                test "$(cat news)" = $'READY=1\\nSTOPPING=1' || fail "$(cat news)"
                ! mountpoint -q mount
                """
            let result = try run(
                ["unshare", "--mount", "--propagation", "private", "bash", "-euo", "pipefail", "-c", script],
                environment: [
                    "S": scratch.path, "VHDFS": Mount.binary, "UNIT": Self.unit, "LC_ALL": "C", "NOTIFY_SOCKET": "",
                ],
                timeout: .seconds(100)
            )
            let isGood = result.succeeded
            #expect(isGood, "\(result.status)\n\(result.output)\n\(result.errorOutput)")
        }
    }
}
