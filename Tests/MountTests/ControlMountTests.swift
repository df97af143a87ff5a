import TestSupport
import Testing

/// `ctl` as shells and programs use it.
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct ControlMountTests {
    @Test func echoHasTheRightStatusAndText() throws {
        try withMount { mount in
            try mount.makeVHD("a.vhd")
            try mount.scratch.write(ISOBuilder.iso9660().content, to: "b.iso")
            try mount.check(
                """
                try() { # words of the message, request
                    if message=$( (echo "$2" > "$M/ctl") 2>&1 ); then fail "worked: $2"; fi
                    [[ $message == *"$1"* ]] || fail "$2: $message"
                }
                head -c 4096 /dev/urandom > noise
                mkfifo fifo
                try 'No such file or directory' "attach $S/none.vhd"
                try 'No such file or directory' "attach $S/none/a.vhd"
                try 'Invalid argument' "attach $S/a.vhd flags=0x40"
                try 'Invalid argument' "frob"
                try 'Read-only file system' "attach $S/b.iso"
                try 'Operation not supported' "attach $S/b.iso readonly no-local-host"
                try 'No such device' "attach $S/noise"
                try 'Block device required' "attach $S/fifo"
                try 'Block device required' "attach $S readonly"
                try 'Structure needs cleaning' "attach $S/noise type=iso readonly"
                try 'No such device or address' "detach a"
                echo "attach $S/a.vhd" > "$M/ctl"
                try 'Device or resource busy' "attach $S/a.vhd"
                try 'File exists' "attach $S/b.iso readonly name=a"
                grep -q "^a $S/a.vhd\\$" "$M/ctl"
                grep -q "^# error 183 ERROR_ALREADY_EXISTS .*the name a is taken" "$M/ctl"
                cmp -n 65536 "$A/a/disk" /dev/zero
                test "$(readlink "$A/a/image")" = "$S/a.vhd"
                jq -e '.name == "a" and .virtual_size == 1048576 and .lifetime == "file-system"' "$A/a/info.json"
                # A path that is no UTF-8 can be read all the same, and is whole in base64.
                odd="$S/"$'odd\\xFF\\xC3\\xA9'; cp "$S/a.vhd" "$odd"; printf "attach '%s' name=odd readonly\\n" "$odd" > "$M/ctl"
                jq -e --arg path "$S/"'odd\\xFFé' '.path == $path' "$A/odd/info.json"
                test "$(jq -r .path_base64 "$A/odd/info.json" | base64 -d | od -c)" = "$(printf %s "$odd" | od -c)"
                echo 'detach odd' > "$M/ctl"
                echo "detach a" > "$M/ctl"
                gone "$A/a" || fail "still there"
                """
            )
        }
    }

    @Test func relativePathsStartAtTheWritersDirectory() throws {
        try withMount { mount in
            try mount.scratch.makeFolder("sub")
            try mount.makeVHD("sub/a.vhd")
            try mount.check(
                """
                cd sub
                echo "attach a.vhd" > "$M/ctl"
                test "$(readlink "$A/a/image")" = "$S/sub/a.vhd"
                echo "detach ./a.vhd" > "$M/ctl"
                cd "$A"
                if (echo "attach a.vhd" > "$M/ctl") 2> /dev/null; then fail "attached from inside the mount"; fi
                """
            )
        }
    }

    @Test func anOpenFileIsAHandle() throws {
        try withMount { mount in
            try mount.makeVHD("a.vhd")
            try mount.check(
                """
                exec 3<>"$M/ctl"
                echo "attach $S/a.vhd" >&3
                read -r answer <&3
                test "$answer" = "ok attach a $M/attached/a"
                test -e "$A/a/disk"
                # A child that has inherited it keeps it.
                sleep 300 &
                child=$!
                exec 3>&-
                sleep 0.3
                test -e "$A/a/disk" || fail "gone, but a child holds the handle"
                kill -9 $child
                eventually gone "$A/a"
                """
            )
        }
    }

    @Test func deathOfTheProcessEndsItsAttachments() throws {
        try withMount { mount in
            try mount.makeVHD("a.vhd")
            try mount.makeVHD("b.vhd", fill: 2)
            try mount.check(
                """
                bash -c 'exec 3<>"$M/ctl"; echo "attach $S/a.vhd" >&3; echo "attach $S/b.vhd permanent" >&3; kill -9 $$' || true
                eventually gone "$A/a"
                test -e "$A/b/disk" || fail "the permanent one is gone too"
                echo "detach b" > "$M/ctl"
                """
            )
        }
    }

    @Test func severalRequestsInOneWrite() throws {
        try withMount { mount in
            for (index, name) in ["a", "b", "c"].enumerated() {
                try mount.makeVHD("\(name).vhd", fill: UInt8(index + 1))
            }
            try mount.python(
                """
                fd = os.open(M + '/ctl', os.O_RDWR)
                fails(errno.ENOENT, os.write, fd, f'attach {S}/a.vhd\\nattach {S}/none\\nattach {S}/b.vhd\\n'.encode())
                assert os.listdir(A) == ['a'], os.listdir(A)
                answers = os.read(fd, 1 << 20).decode().splitlines()
                assert len(answers) == 2 and answers[0].startswith('ok attach a ') and answers[1].startswith('error 2 '), answers
                assert os.read(fd, 100) == b''
                # A line in pieces, and one of 64 KiB.
                os.write(fd, b'attach ')
                line = f'{S}/b.vhd'.encode()
                assert os.write(fd, line + b' ' * (65536 - 7 - len(line)) + b'\\n') == 65530
                assert sorted(os.listdir(A)) == ['a', 'b']
                fails(errno.EINVAL, os.write, fd, b'#' * 65537 + b'\\n')
                os.close(fd)
                # Without a newline: at the close of a file that is only written.
                fd = os.open(M + '/ctl', os.O_WRONLY)
                os.write(fd, f'attach {S}/c.vhd'.encode())
                os.close(fd)
                for _ in range(500):
                    if os.listdir(A) == ['c']: break
                    time.sleep(0.02)
                assert os.listdir(A) == ['c'], os.listdir(A)
                detach('c')
                """
            )
        }
    }

    @Test func requestsOfDifferentFilesRunSideBySide() throws {
        try withMount { mount in
            try mount.makeVHD("slow.vhd")
            try mount.makeVHD("a.vhd", fill: 2)
            // A lease makes an open of the file wait, as a file server does that has stopped.
            try mount.python(
                """
                signal.signal(signal.SIGIO, signal.SIG_IGN)
                lease = os.open('slow.vhd', os.O_RDWR)
                fcntl.fcntl(lease, fcntl.F_SETLEASE, fcntl.F_WRLCK)
                waiting = subprocess.Popen(['sh', '-c', 'echo attach $S/slow.vhd > $M/ctl'], stderr=subprocess.PIPE)
                time.sleep(0.3)
                for _ in range(10):
                    attach(f'{S}/a.vhd')
                    open(M + '/ctl').read()
                    detach('a')
                assert waiting.poll() is None, 'the slow one did not wait'
                waiting.send_signal(signal.SIGINT)
                waiting.wait(10)
                os.close(lease)
                assert os.listdir(A) == []
                """
            )
        }
    }

    @Test func interruptedAttachesLeaveNothing() throws {
        try withMount { mount in
            try mount.makeVHD("slow.vhd")
            try mount.makeVHD("a.vhd", fill: 2)
            try mount.python(
                """
                signal.signal(signal.SIGIO, signal.SIG_IGN)
                PID = os.environ['PID']
                def descriptors(): return len(os.listdir(f'/proc/{PID}/fd'))
                attach(f'{S}/a.vhd'); detach('a')
                before = descriptors()
                # Not os.write(): that takes an EINTR for a reason to try again.
                import ctypes
                libc = ctypes.CDLL(None, use_errno=True)
                signal.signal(signal.SIGINT, lambda *_: None)
                def writer(image):
                    pid = os.fork()
                    if pid == 0:
                        fd = os.open(M + '/ctl', os.O_RDWR)
                        line = f'attach {S}/{image}\\n'.encode()
                        result = libc.write(fd, line, len(line))
                        os._exit(0 if result > 0 else ctypes.get_errno())
                    return pid
                def ended(pid, number):
                    # Once may be too early: before its write has begun.
                    while True:
                        os.kill(pid, number)
                        for _ in range(20):
                            time.sleep(0.005)
                            found, status = os.waitpid(pid, os.WNOHANG)
                            if found: return os.waitstatus_to_exitcode(status)
                lease = os.open('slow.vhd', os.O_RDWR)
                fcntl.fcntl(lease, fcntl.F_SETLEASE, fcntl.F_WRLCK)
                for i in range(100):
                    pid = writer('slow.vhd')
                    time.sleep(0.01)
                    status = ended(pid, signal.SIGKILL if i % 2 else signal.SIGINT)
                    assert status == (-signal.SIGKILL if i % 2 else errno.EINTR), (i, status)
                os.close(lease)
                for i in range(100):
                    pid = writer('a.vhd')
                    time.sleep(random.random() * 0.02)
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                for _ in range(500):
                    if os.listdir(A) == [] and descriptors() <= before + 2: break
                    time.sleep(0.02)
                assert os.listdir(A) == [], os.listdir(A)
                assert descriptors() <= before + 2, (before, descriptors())
                attach(f'{S}/slow.vhd'); attach(f'{S}/a.vhd')
                detach('slow'); detach('a')
                """,
                timeout: .seconds(100)
            )
        }
    }
}
