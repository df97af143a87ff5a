import TestSupport
import Testing

/// Records of permanent attachments that somebody else has planted: they say with whose rights which file is opened.
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct JournalMountTests {
    @Test func plantedRecordsAreNotBelieved() throws {
        try withMount("-o", "allow_other", "--manage-group", "7000") { mount in
            for name in ["good", "owner", "mode", "link", "names", "fifo", "moved"] {
                try mount.makeVHD("\(name).vhd", fill: UInt8(name.utf8.count + Int(name.utf8.first ?? 0)))
            }
            try mount.check(
                UsersMountTests.helpers + """
                    chmod 600 *.vhd
                    for name in good owner mode link names fifo; do echo "attach $S/$name.vhd permanent" > "$M/ctl"; done
                    """
            )
            try mount.unmount()
            try mount.check(
                """
                cd state/*/
                test "$(stat -c '%u %a' good.json)" = '0 600'
                chown 4000 owner.json
                chmod 620 mode.json
                mv link.json "$S/theirs"; ln -s "$S/theirs" link.json
                ln names.json "$S/second-name"
                rm fifo.json; mkfifo fifo.json
                # Said of another than it is named for.
                sed 's/"good"/"moved"/' good.json > other.json; chmod 600 other.json
                """
            )
            try mount.mountAgain()
            try mount.check(
                """
                test "$(ls "$A")" = good || fail "$(ls "$A")"
                for reason in 'owner .*belongs to user 4000' 'mode .*permissions 0620' 'link .*is a link' 'names .*2 names' 'fifo .*no regular' \\
                    'other .*for '; do
                    grep -q "^# not attached again: $reason" "$M/ctl" || fail "$reason: $(cat "$M/ctl")"
                done
                # They are forgotten like any other, and what they point to stays.
                for name in owner mode link names fifo other good; do echo "detach $name" > "$M/ctl"; done
                test -s "$S/theirs"; test -s "$S/second-name"
                test -z "$(ls state)"
                """
            )
        }
    }

    /// The state directory itself: the owner, the mode and a link are refused before anything is mounted (CommandLineMountTests); the folder
    /// of the mount point in it likewise.
    @Test func aPlantedFolderIsNotBelieved() throws {
        try withMount("-o", "allow_other") { mount in
            try mount.makeVHD("a.vhd")
            try mount.check("echo \"attach $S/a.vhd permanent\" > \"$M/ctl\"")
            try mount.unmount()
            for (plant, undo) in [
                ("chown 4000 state/*/", "chown 0 state/*/"), ("chmod 770 state/*/", "chmod 700 state/*/"),
                (
                    "for f in state/*; do mv $f moved; ln -s $PWD/moved $f; done",
                    "for f in state/*; do rm $f; mv moved $f; done"
                ),
            ] {
                try mount.check(plant)
                #expect(throws: TestSupportError.self, "\(plant)") { try mount.mountAgain() }
                try mount.check("! mountpoint -q \"$M\"; \(undo)")
            }
            try mount.mountAgain()
            try mount.check("test \"$(ls \"$A\")\" = a; echo 'detach a' > \"$M/ctl\"")
        }
    }

    @Test func groupsAreRecordedAndChecked() throws {
        try withMount("-o", "allow_other", "--manage-group", "7000") { mount in
            try mount.makeVHD("a.vhd")
            try mount.check(
                """
                chown 0:7100 a.vhd; chmod 640 a.vhd
                setpriv --reuid=4000 --regid=4000 --groups=7000,7100 bash -c 'echo "attach $S/a.vhd permanent readonly" > "$M/ctl"'
                """
            )
            try mount.kill()
            try mount.mountAgain()
            try mount.check("jq -e '.attached_by_uid == 4000' \"$A/a/info.json\"; chgrp 7101 a.vhd")
            try mount.unmount()
            try mount.mountAgain()
            try mount.check(
                UsersMountTests.helpers + """
                    gone "$A/a"
                    member 4000 cat "$M/ctl" | grep -q '^# not attached again: a .*ERROR_ACCESS_DENIED'
                    if member 4001 cat "$M/ctl" | grep -q 'not attached again'; then fail 'others see it'; fi
                    echo 'detach a' > "$M/ctl"
                    """
            )
        }
    }
}
