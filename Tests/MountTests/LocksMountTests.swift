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
}
