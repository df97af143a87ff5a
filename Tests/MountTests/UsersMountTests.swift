import TestSupport
import Testing

/// Other users than root (CONTRACT.md §3.4). They need no entry in `/etc/passwd`.
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct UsersMountTests {
    /// Runs the rest of a line as a user, in a group, with further groups.
    static let helpers = """
        as() { local id=$1; shift; setpriv --reuid=$id --regid=$id --clear-groups "$@"; }
        member() { local id=$1; shift; setpriv --reuid=$id --regid=$id --groups=7000 "$@"; }
        refused() { # words of the message, command
            local words=$1; shift
            if message=$("$@" 2>&1); then fail "worked: $*"; fi
            [[ $message == *"$words"* ]] || fail "$*: $message"
        }

        """

    @Test func withoutAllowOtherThereIsNothingForOthers() throws {
        try withMount { mount in
            try mount.makeVHD("a.vhd")
            try mount.check(
                Self.helpers + """
                    chmod 644 a.vhd
                    echo "attach $S/a.vhd" > "$M/ctl"
                    refused 'Permission denied' as 4000 ls "$M"
                    refused 'Permission denied' as 4000 cat "$A/a/disk"
                    refused 'Permission denied' as 4000 bash -c 'echo list > "$M/ctl"'
                    """
            )
        }
    }

    @Test func strangersMayLookAndNotAttach() throws {
        try withMount("-o", "allow_other") { mount in
            try mount.makeVHD("a.vhd")
            try mount.makeVHD("b.vhd", fill: 2)
            try mount.check(
                Self.helpers + """
                    chmod 666 a.vhd b.vhd
                    refused 'Operation not permitted' as 4000 bash -c 'echo "attach $S/a.vhd readonly" > "$M/ctl"'
                    as 4000 cat "$M/ctl" | grep -q '^# error 1314 ERROR_PRIVILEGE_NOT_HELD'
                    if as 4001 cat "$M/ctl" | grep -q '^# error'; then fail "another sees the failure"; fi
                    echo "attach $S/a.vhd" > "$M/ctl"
                    refused 'Operation not permitted' as 4000 bash -c 'echo "detach a" > "$M/ctl"'
                    # The descriptor is the image's.
                    as 4000 cmp -n 100 "$A/a/disk" /dev/zero
                    as 4000 bash -c 'printf x | dd of="$A/a/disk" conv=notrunc status=none'
                    refused 'Operation not permitted' as 4000 chmod 777 "$A/a/disk"
                    refused 'Operation not permitted' as 4000 truncate -s 0 "$A/a/disk"
                    echo "attach $S/b.vhd mode=0640 owner=4000 group=4001" > "$M/ctl"
                    as 4000 bash -c 'printf x | dd of="$A/b/disk" conv=notrunc status=none'
                    as 4001 head -c 1 "$A/b/disk"
                    refused 'Permission denied' as 4001 bash -c 'printf x | dd of="$A/b/disk" conv=notrunc status=none'
                    refused 'Permission denied' as 4002 cat "$A/b/disk"
                    refused 'Permission denied' as 4002 cat "$A/b/info"
                    if as 4002 readlink "$A/b/image"; then fail 'a stranger sees the path'; fi
                    as 4002 cat "$M/ctl" | grep -qx b
                    """
            )
        }
    }

    @Test func filesAreOpenedWithTheCallersRights() throws {
        try withMount("-o", "allow_other", "--manage-group", "7000") { mount in
            try mount.makeVHD("root.vhd")
            try mount.makeVHD("theirs.vhd", fill: 2)
            try mount.makeVHD("readable.vhd", fill: 3)
            try mount.check(
                Self.helpers + """
                    chmod 600 root.vhd
                    mkdir private
                    mv theirs.vhd private/
                    chown -R 4000:4000 private
                    chmod 700 private
                    chmod 600 private/theirs.vhd
                    chmod 644 readable.vhd
                    for words in '' readonly; do
                        refused 'Permission denied' member 4000 bash -c "echo 'attach $S/root.vhd $words' > '$M/ctl'"
                    done
                    refused 'Permission denied' member 4001 bash -c 'echo "attach $S/private/theirs.vhd" > "$M/ctl"'
                    member 4000 bash -c 'echo "attach $S/private/theirs.vhd" > "$M/ctl"'
                    test "$(stat -c '%u %a' "$A/theirs/disk")" = '4000 600'
                    member 4000 bash -c 'printf x | dd of="$A/theirs/disk" conv=notrunc status=none'
                    refused 'Permission denied' member 4001 cat "$A/theirs/disk"
                    # Only to read is enough, when only that is asked for; it then stays readable.
                    refused 'Permission denied' member 4000 bash -c 'echo "attach $S/readable.vhd" > "$M/ctl"'
                    member 4000 bash -c 'echo "attach $S/readable.vhd readonly" > "$M/ctl"'
                    member 4000 cmp -n 10 "$A/readable/disk" /dev/zero
                    refused 'Operation not permitted' as 4000 bash -c 'echo "detach readable" > "$M/ctl"'
                    member 4001 bash -c 'echo "detach readable" > "$M/ctl"'
                    cd private
                    member 4000 bash -c 'echo "detach ./theirs.vhd" > "$M/ctl"'
                    # A relative path, from a folder that only the caller may enter.
                    member 4000 bash -c 'echo "attach theirs.vhd" > "$M/ctl"'
                    test "$(readlink "$A/theirs/image")" = "$S/private/theirs.vhd"
                    """
            )
        }
    }

    @Test func permanentOnesKeepTheRightsOfTheOneWhoAsked() throws {
        try withMount("-o", "allow_other", "--manage-group", "7000") { mount in
            try mount.makeVHD("a.vhd")
            try mount.check(
                Self.helpers + """
                    chown 4000:4000 a.vhd
                    chmod 600 a.vhd
                    member 4000 bash -c 'echo "attach $S/a.vhd permanent" > "$M/ctl"'
                    """
            )
            try mount.unmount()
            try mount.check("chown 0:0 a.vhd")
            try mount.mountAgain()
            try mount.check("gone \"$A/a\"; grep -q '^# not attached again: a .*ERROR_ACCESS_DENIED' \"$M/ctl\"")
            try mount.unmount()
            try mount.check("chown 4000 a.vhd")
            try mount.mountAgain()
            try mount.check("jq -e '.attached_by_uid == 4000' \"$A/a/info.json\"; echo 'detach a' > \"$M/ctl\"")
        }
    }

    /// `/dev/fuse` is for all in a mount namespace of its own, whatever this machine has; fusermount3 wants a user with a name.
    @Test func aUsersDaemonOpensAsThatUserAndServesNobodyElse() throws {
        try withScratchFolder { scratch in
            try run("chmod", "0755", scratch.path).checked()
            for name in ["own", "roots", "readable"] {
                try scratch.write(VHDBuilder(.dynamic, size: 1 << 20).build().content, to: "\(name).vhd")
            }
            let script = """
                cd "$S"
                fail() { echo "FAILED: $*; $(cat log)" >&2; exit 99; }
                trap 'fusermount3 -uz mount 2> /dev/null || kill $(jobs -p) 2> /dev/null || true; wait' EXIT
                mounted() { for _ in $(seq 500); do ! grep -qs 'mounted at' log || return 0; sleep 0.02; done; fail 'not mounted'; }
                # The other tests' mounts are in here too, and must not outlive their end out there.
                awk '/ fuse.vhdfs / { print $5 }' /proc/self/mountinfo | while read -r other; do umount -l "$other" || true; done
                mknod fuse c 10 229; chmod 666 fuse; mount --bind fuse /dev/fuse
                user() { setpriv --reuid=65534 --regid=65534 --clear-groups env HOME="$S/home" "$@"; }
                mkdir home mount private; chown 65534:65534 home mount private; chmod 700 private
                mv own.vhd private; chown 65534 private/own.vhd; chmod 600 private/own.vhd; chmod 600 roots.vhd; chmod 644 readable.vhd
                cp "$VHDFS" vhdfs
                user ./vhdfs -f private/own.vhd mount 2> log &
                mounted
                user dd if=/dev/zero of=mount/attached/own/disk bs=1000 count=1 conv=notrunc status=none
                test "$(user stat -c '%u %a' mount/attached/own/disk)" = '65534 600' || fail "rights"
                if ls mount 2> message; then fail "root is let in"; fi
                grep -q 'Permission denied' message
                for words in '' readonly; do
                    if user bash -c "echo 'attach $S/roots.vhd $words' > mount/ctl" 2> message; then fail "roots.vhd"; fi
                    grep -q 'Permission denied' message
                done
                user bash -c "echo 'attach $S/readable.vhd readonly' > mount/ctl"
                user cmp -n 10 mount/attached/readable/disk /dev/zero
                (cd private && user bash -c "echo 'detach own.vhd' > ../mount/ctl && echo 'attach own.vhd permanent' > ../mount/ctl")
                user fusermount3 -u mount
                wait
                test "$(stat -c '%u %a' home/.local/state/vhdfs)" = '65534 700' || fail "state folder"
                rm log
                user ./vhdfs -f mount 2> log &
                mounted
                user test -e mount/attached/own/disk || fail "not back: $(cat log)"
                user bash -c "echo 'detach own' > mount/ctl"
                user fusermount3 -u mount
                wait
                """
            let result = try run(
                ["unshare", "--mount", "--propagation", "private", "bash", "-euo", "pipefail", "-c", script],
                environment: ["S": scratch.path, "VHDFS": Mount.binary, "LC_ALL": "C"]
            )
            let isGood = result.succeeded
            #expect(isGood, "\(result.status)\n\(result.output)\n\(result.errorOutput)")
        }
    }
}
