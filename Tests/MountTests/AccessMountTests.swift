import TestSupport
import Testing

/// Who may have what attached, and read what is: users, groups, descriptors, parents (docs/security.md).
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct AccessMountTests {
    /// `managed USER GROUPS…` runs a command as a user of the manage group 7000 who is in those groups too.
    private static let helpers =
        UsersMountTests.helpers + """
            managed() { local id=$1 groups=$2; shift 2; setpriv --reuid=$id --regid=$id --groups="7000$groups" "$@"; }

            """

    @Test func supplementaryGroupsOpenAndTheirAbsenceRefuses() throws {
        try withMount("-o", "allow_other", "--manage-group", "7000") { mount in
            try mount.makeVHD("a.vhd")
            try mount.makeVHD("parent.vhd", fill: 3)
            try mount.check(
                Self.helpers + """
                    chown 0:7100 a.vhd; chmod 640 a.vhd
                    try=(bash -c 'echo "attach $S/a.vhd readonly" > "$M/ctl"')
                    refused 'Permission denied' managed 4000 '' "${try[@]}"
                    refused 'Permission denied' managed 4000 ,7101,7102 "${try[@]}"
                    managed 4000 ,7101,7100 "${try[@]}"
                    # The disk is the group's too.
                    managed 4001 ,7100 cmp -n 10 "$A/a/disk" /dev/zero
                    refused 'Permission denied' managed 4001 ,7101 cat "$A/a/disk"
                    managed 4000 '' bash -c 'echo "detach a" > "$M/ctl"'
                    # In turns: nobody gets what another has just been given.
                    for _ in $(seq 20); do
                        managed 4000 ,7100 "${try[@]}"
                        echo 'detach a' > "$M/ctl"
                        refused 'Permission denied' managed 4000 '' "${try[@]}"
                    done
                    # A group to write is one to read, and no more.
                    refused 'Permission denied' managed 4000 ,7100 bash -c 'echo "attach $S/a.vhd" > "$M/ctl"'
                    """
            )
        }
    }

    /// The kernel asks for the ids of `setfsuid`; so do we, also of a root that has lent itself to a user so.
    @Test func theIDsForFilesCount() throws {
        try withMount("-o", "allow_other", "--manage-group", "7000") { mount in
            try mount.makeVHD("root.vhd")
            try mount.makeVHD("own.vhd", fill: 2)
            try mount.python(
                """
                import ctypes
                libc = ctypes.CDLL(None)
                os.chmod('root.vhd', 0o600); os.chmod('own.vhd', 0o600); os.chown('own.vhd', 4000, 4000)
                def lent(line, groups=[7000]):
                    pid = os.fork()
                    if pid == 0:
                        os.setgroups(groups)
                        libc.setfsgid(4000); libc.setfsuid(4000)
                        os._exit(ctl(line))
                    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                assert lent(f'attach {S}/root.vhd readonly') == errno.EACCES
                assert lent(f'attach {S}/own.vhd readonly') == 0
                assert lent('detach own', []) == errno.EPERM
                assert lent('detach own') == 0
                """
            )
        }
    }

    @Test func descriptorsDecideWhoReads() throws {
        try withMount("-o", "allow_other", "--manage-group", "7000") { mount in
            try mount.makeVHD("a.vhd")
            try mount.check(
                Self.helpers + """
                    chown 4000:4000 a.vhd; chmod 600 a.vhd
                    reads() { head -c 10 "$A/a/disk" > /dev/null 2>&1; }
                    export -f reads
                    # descriptor, then y or n for each: the owner, a member of 7100, anyone else
                    expect() {
                        managed 4000 ,7100 bash -c "echo 'attach $S/a.vhd readonly sd=$1' > '$M/ctl'"
                        local found=
                        for who in '4000 ' '4001 ,7100' '4002 '; do
                            if managed ${who% *} "${who#* }" bash -c reads; then found+=y; else found+=n; fi
                        done
                        echo "detach a" > "$M/ctl"
                        test $found = "$2" || fail "$1: $found, not $2"
                    }
                    expect 'G:S-1-22-2-7100D:(D;;FR;;;S-1-22-2-7100)(A;;FR;;;WD)' yny
                    expect 'G:S-1-22-2-7100D:(A;;FR;;;WD)(D;;FR;;;S-1-22-2-7100)' yyy
                    expect 'G:S-1-22-2-7100D:(A;;FA;;;S-1-22-2-7100)' nyn
                    expect 'G:S-1-22-2-7100D:(A;;FA;;;OW)' ynn
                    expect 'D:(A;IO;FA;;;WD)' nnn
                    expect 'D:' nnn
                    expect 'D:NO_ACCESS_CONTROL' yyy
                    expect 'O:S-1-22-1-4002D:(A;;FR;;;S-1-22-1-4002)' nny
                    code() { # code, descriptor
                        if managed 4000 '' bash -c "echo 'attach $S/a.vhd sd=$2' > '$M/ctl'" 2> message; then fail "${2:0:50}"; fi
                        managed 4000 '' cat "$M/ctl" | grep '^# error' | tail -n 1 | grep -q "^# error $1 " || fail "${2:0:50} is not $1"
                        gone "$A/a"
                    }
                    code 1337 'D:(A;;FA;;;S-1-5-21-1-2-3-1001)'
                    code 1337 'O:S-1-22-2-4000'
                    code 1337 'D:(A;;FA;;;BU)'
                    code 87 'D:(A;;FA;;;WD'
                    """
                        // Longer than a line may be; what is longer than a descriptor may be is in SecurityDescriptorTests.
                        + #"""

                        code 87 "D:$(printf '(A;;;;;WD)%.0s' $(seq 7000))"
                        """#
            )
        }
    }

    @Test func parentsAreOpenedWithTheCallersRightsToo() throws {
        try withMount("-o", "allow_other", "--manage-group", "7000") { mount in
            try mount.scratch.makeFolder("theirs")
            let parent = try mount.makeVHD("parent.vhd")
            // Three levels up or from the root: whatever a hostile image says.
            for (name, path) in [
                ("up", "..\\parent.vhd"), ("fifo", ".\\fifo"), ("zero", "..\\..\\..\\..\\..\\dev\\zero"),
                ("folder", ".\\"), ("memory", "..\\..\\..\\..\\proc\\self\\mem"),
                ("loop", ".\\loop.vhd"),
            ] {
                var child = VHDBuilder(.differencing, size: parent.size)
                child.parentID = parent.uniqueID
                child.uniqueID = [UInt8](repeating: UInt8(name.utf8.count + 77), count: 16)
                child.locators = [.init("W2ru", path.utf16.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] })]
                try mount.scratch.write(child.build().content, to: "theirs/\(name).vhd")
            }
            try mount.check(
                Self.helpers + """
                    mkfifo theirs/fifo
                    chown -R 4000:4000 theirs; chmod 600 parent.vhd
                    for name in up fifo zero folder memory loop; do
                        line="attach $S/theirs/$name.vhd readonly"
                        if managed 4000 '' timeout 30 bash -c "echo '$line' > '$M/ctl'" 2> /dev/null; then fail "$name"; fi
                        test $? != 124 || fail "$name hangs"
                        gone "$A/$name"
                    done
                    for word in "$S/parent.vhd" "$S/theirs/fifo" /dev/zero /proc/self/maps; do
                        line="attach $S/theirs/up.vhd readonly parent=$word"
                        if managed 4000 '' timeout 30 bash -c "echo '$line' > '$M/ctl'" 2> /dev/null; then fail "$word"; fi
                        gone "$A/up"
                    done
                    # What root may read, root's own request finds.
                    echo "attach $S/theirs/up.vhd readonly" > "$M/ctl"
                    test "$(head -c 65537 "$A/up/disk" | tail -c 1 | od -An -tx1 | tr -d " ")" = 01
                    """
            )
        }
    }

    /// `ctl` as the standard output of a program that runs with more rights than the user who has opened it.
    @Test func aSetUIDProgramWritesNothingForOthers() throws {
        try withMount("-o", "allow_other", "--manage-group", "7000") { mount in
            try mount.makeVHD("a.vhd")
            try mount.check(
                Self.helpers + """
                    chmod 666 a.vhd
                    echo "attach $S/a.vhd readonly" > line; chmod 644 line
                    for kind in '0:0 4755' '0:7000 2755'; do
                        cp /bin/cat lifted; chown ${kind% *} lifted; chmod ${kind#* } lifted
                        refused 'Operation not permitted' as 4000 bash -c './lifted < line > "$M/ctl"'
                        # An open that can be read too, and one that comes down from a shell.
                        refused 'Operation not permitted' as 4000 bash -c 'exec 1<> "$M/ctl"; ./lifted < line'
                    done
                    gone "$A/a"
                    # The same program may, for one who may.
                    managed 4000 '' bash -c 'cat < line > "$M/ctl"'
                    test -e "$A/a"
                    """
            )
        }
    }

    @Test func nobodyLearnsOfOthersPathsAndFailures() throws {
        try withMount("-o", "allow_other", "--manage-group", "7000") { mount in
            try mount.makeVHD("secret-name.vhd")
            try mount.check(
                Self.helpers + """
                    chown 4000:4000 secret-name.vhd; chmod 600 secret-name.vhd
                    managed 4000 '' bash -c 'echo "attach $S/secret-name.vhd name=x" > "$M/ctl"'
                    if managed 4000 '' bash -c 'echo "attach $S/no-such-secret" > "$M/ctl"' 2> /dev/null; then fail attached; fi
                    managed 4000 '' cat "$M/ctl" | grep -q "secret-name.vhd"
                    managed 4000 '' cat "$M/ctl" | grep -q "no-such-secret"
                    hidden() { # command
                        if "$@" 2> /dev/null > seen; then :; fi
                        if grep -q secret seen; then fail "$* shows: $(cat seen)"; fi
                    }
                    hidden managed 4001 '' cat "$M/ctl"
                    hidden as 4002 cat "$M/ctl"
                    hidden managed 4001 '' cat "$A/x/info"
                    hidden managed 4001 '' cat "$A/x/info.json"
                    hidden managed 4001 '' readlink "$A/x/image"
                    ask() { managed $1 '' bash -c 'exec 3<>"$M/ctl"; echo "$0" >&3 2> /dev/null || true; cat <&3' "$2"; }
                    hidden ask 4001 list
                    hidden ask 4001 'info x'
                    ask 4000 'info x' | grep -q secret-name
                    # A path is no oracle: one that is attached and one that is not are answered alike.
                    one=$(ask 4001 "detach $S/secret-name.vhd")
                    other=$(ask 4001 "detach $S/no-such-thing.vhd")
                    test "${one//secret-name/}" = "${other//no-such-thing/}" || fail "$one and $other"
                    one=$(ask 4001 "info $S/secret-name.vhd")
                    other=$(ask 4001 "info $S/no-such-thing.vhd")
                    test "${one//secret-name/}" = "${other//no-such-thing/}" || fail "$one and $other"
                    # By its name it may be detached, and stays unnamed in the answer.
                    exec 4< "$A/x/disk"
                    hidden ask 4001 'detach x'
                    exec 4<&-
                    hidden ask 4001 'detach x'
                    gone "$A/x"
                    """
            )
        }
    }
}
