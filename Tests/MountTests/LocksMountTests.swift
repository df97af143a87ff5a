import TestSupport
import Testing

/// Exclusion against QEMU's tools and against other vhdfs processes (CONTRACT.md §3.4).
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct LocksMountTests {
    @Test func qemuAndWeKeepEachOtherOut() throws {
        try withMount { mount in
            try mount.makeVHD("a.vhd")
            try mount.check(
                """
                refused() { if "$@" > message 2>&1; then fail "worked: $*"; fi; }
                # We write: nobody else may even look.
                echo "attach $S/a.vhd" > "$M/ctl"
                refused qemu-io -f vpc -c 'read 0 512' a.vhd
                grep -q 'lock' message
                refused qemu-img convert -f vpc -O raw a.vhd out
                echo "detach a" > "$M/ctl"
                # We read: others may read and not write.
                echo "attach $S/a.vhd readonly" > "$M/ctl"
                qemu-img convert -f vpc -O raw a.vhd out
                qemu-io -r -f vpc -c 'read 0 512' a.vhd
                refused qemu-io -f vpc -c 'write 0 512' a.vhd
                grep -q 'lock' message
                echo "detach a" > "$M/ctl"
                qemu-io -f vpc -c 'write -P 9 0 512' a.vhd
                # QEMU writes: we may not.
                mkfifo commands
                qemu-io -f vpc a.vhd < commands > /dev/null &
                qemu=$!
                exec 4> commands
                echo 'read 0 512' >&4
                locked() { grep -q "POSIX\\|OFDLCK" <(grep ":$(stat -c %i a.vhd) " /proc/locks); }
                eventually locked
                for words in '' readonly; do
                    if (echo "attach $S/a.vhd $words" > "$M/ctl") 2> message; then fail "attached beside qemu"; fi
                    grep -q 'Device or resource busy' message
                done
                grep -q "^# error 32 .*another program uses this file.*qemu-io (pid $qemu)" "$M/ctl"
                exec 4>&-
                wait $qemu
                # QEMU reads: we may too.
                qemu-io -r -f vpc a.vhd < commands > /dev/null &
                qemu=$!
                exec 4> commands
                echo 'read 0 512' >&4
                eventually locked
                echo "attach $S/a.vhd readonly" > "$M/ctl"
                echo "detach a" > "$M/ctl"
                if (echo "attach $S/a.vhd" > "$M/ctl") 2> message; then fail "attached for writing beside a reader"; fi
                exec 4>&-
                wait $qemu
                echo "attach $S/a.vhd" > "$M/ctl"
                """
            )
        }
    }

    @Test func twoFileSystemsShareForReadingOnly() throws {
        try withMount { one in
            try withMount { two in
                try one.makeVHD("a.vhd")
                let image = one.scratch.path("a.vhd")
                func attach(_ mount: Mount, _ words: String, works: Bool) throws {
                    let result = try mount.bash("echo 'attach \(image) \(words)' > \"$M/ctl\"")
                    #expect(result.succeeded == works, "\(words) \(result.errorOutput)")
                    if !works { #expect(result.errorOutput.contains("Device or resource busy")) }
                }
                func detach(_ mount: Mount) throws { try mount.check("echo 'detach a' > \"$M/ctl\"") }
                try attach(one, "", works: true)
                try attach(two, "", works: false)
                try attach(two, "readonly", works: false)
                try two.check("grep -q 'vhdfs (pid \(one.processID))' \"$M/ctl\"")
                try detach(one)
                try attach(two, "readonly", works: true)
                try attach(one, "", works: false)
                try attach(one, "readonly", works: true)
                try one.check("cmp \"$A/a/disk\" '\(two.path)/attached/a/disk'")
                try detach(one)
                try detach(two)
                try attach(one, "", works: true)
            }
        }
    }

    /// A parent is locked against writers by any program.
    @Test func aParentIsLockedToo() throws {
        try withMount { one in
            try withMount { two in
                let parent = try one.makeVHD("parent.vhd")
                var child = VHDBuilder(.differencing, size: 1 << 20)
                child.blockSize = 65_536
                child.parentID = parent.uniqueID
                child.parentName = "parent.vhd"
                try one.scratch.write(child.build().content, to: "child.vhd")
                try one.check(
                    """
                    echo "attach $S/child.vhd" > "$M/ctl"
                    if qemu-io -f vpc -c 'write 0 512' parent.vhd; then fail "qemu wrote to a parent"; fi
                    qemu-io -r -f vpc -c 'read 0 512' parent.vhd
                    """
                )
                let image = one.scratch.path("parent.vhd")
                #expect(try !two.bash("echo 'attach \(image)' > \"$M/ctl\"").succeeded)
                try two.check("echo 'attach \(image) readonly' > \"$M/ctl\"; echo 'detach parent' > \"$M/ctl\"")
                try one.check("echo 'detach child' > \"$M/ctl\"")
                try two.check("echo 'attach \(image)' > \"$M/ctl\"")
                let result = try one.bash("echo \"attach $S/child.vhd readonly\" > \"$M/ctl\"")
                #expect(result.errorOutput.contains("Device or resource busy"), "\(result.errorOutput)")
            }
        }
    }

    /// Whoever makes an image writes paths into it, of anybody's files. Looked at they are, but only a true parent is locked: a lock would
    /// keep QEMU, dpkg and others out of their own files.
    @Test func theFileOfAStrangerIsNeverLocked() throws {
        try withMount { mount in
            for (name, fill) in [("stranger.vhd", 7), ("beside.vhd", 8)] { try mount.makeVHD(name, fill: UInt8(fill)) }
            for name in ["stranger.vhd", "text", "other.vhdx"] {
                var child = VHDBuilder(.differencing, size: 1 << 20)
                child.blockSize = 65_536
                child.parentID = [UInt8](repeating: 99, count: 16)
                child.parentName = name
                try mount.scratch.write(child.build().content, to: "child-\(name)")
            }
            try mount.python(
                #"""
                subprocess.check_call('head -c 100000 /dev/urandom > text; qemu-img create -q -f vhdx other.vhdx 8M', shell=True)
                NAMES = ('stranger.vhd', 'text', 'other.vhdx')
                opened = [os.open(name, os.O_RDWR) for name in NAMES + ('beside.vhd',)]
                def codes(): return [ctl(f'attach {S}/child-{name} readonly') for name in NAMES]
                # One who locks and unlocks all the time never finds them locked by another.
                test, stranger = os.getpid(), os.fork()
                if stranger == 0:
                    rounds, over = 0, []
                    signal.signal(signal.SIGTERM, lambda *_: over.append(1))
                    while not over and os.getppid() == test:
                        for f in opened: fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB); fcntl.lockf(f, fcntl.LOCK_UN)
                        rounds += 1
                    os._exit(0 if rounds > 1000 else 2)
                free = codes()
                assert all(free), free
                for _ in range(100): assert codes() == free
                # The other images of a folder are looked at for children before the first write.
                subprocess.check_call('qemu-img create -q -f vpc -o force_size=on mine.vhd 4M', shell=True)
                for _ in range(20):
                    attach(f'{S}/mine.vhd'); d = os.open(A + '/mine/disk', os.O_WRONLY); os.pwrite(d, b'x' * 512, 0); os.close(d); detach('mine')
                assert os.waitpid(stranger, os.WNOHANG) == (0, 0), 'it has found one locked'
                os.kill(stranger, signal.SIGTERM)
                assert os.waitstatus_to_exitcode(os.waitpid(stranger, 0)[1]) == 0
                # One who keeps them locked is no reason for another answer.
                for f in opened: fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                assert codes() == free, (codes(), free)
                """#,
                timeout: .seconds(120)
            )
        }
    }
}
