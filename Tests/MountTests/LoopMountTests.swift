import TestSupport
import Testing

/// A file system inside of a disk, through a loop device.
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct LoopMountTests {
    @Test func ext4OnALoopDevice() throws {
        try withMount { mount in
            try mount.check(
                """
                qemu-img create -q -f vpc -o force_size=on a.vhd 64M
                echo "attach $S/a.vhd" > "$M/ctl"
                mkdir inside
                end() { umount "$S/inside" 2> /dev/null || true; test -z "${loop:-}" || losetup -d "$loop"; loop=; }
                trap end EXIT
                loop=$(losetup --find --show "$A/a/disk")
                mkfs.ext4 -q "$loop"
                mount "$loop" inside
                mkdir inside/folder
                for i in $(seq 50); do head -c $((i * 3000)) /dev/urandom > inside/folder/$i; done
                rm inside/folder/1?
                (cd inside && find . -type f | sort | xargs sha256sum) > sums
                umount inside
                e2fsck -fn "$loop"
                end
                detach() { (echo "detach a" > "$M/ctl") 2> /dev/null; }
                eventually detach
                # What is in the image is a sound file system, by another program's reading too.
                qemu-img convert -f vpc -O raw a.vhd raw
                e2fsck -fn raw
                echo "attach $S/a.vhd readonly" > "$M/ctl"
                loop=$(losetup --find --show --read-only "$A/a/disk")
                mount -o ro,noload "$loop" inside
                (cd inside && sha256sum --quiet -c ../sums)
                end
                """
            )
        }
    }

    /// A loop device has a disk open, and no process has: who asks why the disk can't go is told which.
    @Test func aLoopDeviceIsNamedAsTheHolder() throws {
        try withMount { mount in
            try mount.check(
                """
                qemu-img create -q -f vpc -o force_size=on a.vhd 8M
                echo "attach $S/a.vhd" > "$M/ctl"
                end() { test -z "${loop:-}" || losetup -d "$loop"; loop=; }
                trap end EXIT
                loop=$(losetup --find --show "$A/a/disk")
                if (echo "detach a" > "$M/ctl") 2> message; then fail "it was detached"; fi
                grep -q 'resource busy' message
                grep "^# error 32 .*open: .*" "$M/ctl" | grep -qF "$loop"
                end
                eventually eval '(echo "detach a" > "$M/ctl") 2> /dev/null'
                """
            )
        }
    }

    /// A device that is written to is claimed, so that nobody mounts it or attaches it by another name; and one that is mounted is not taken.
    @Test func aBlockDeviceIsWrittenToByOneOnly() throws {
        try withMount { mount in
            try mount.check(
                """
                truncate -s 32M raw
                mkfs.ext4 -q raw
                mkdir inside
                end() { umount "$S/inside" 2> /dev/null || true; test -z "${loop:-}" || losetup -d "$loop"; loop=; }
                trap end EXIT
                loop=$(losetup --find --show raw)
                mknod other b $(stat -c '0x%t 0x%T' "$loop")
                refused() { if (echo "attach $* type=raw" > "$M/ctl") 2> message; then fail "attached: $*"; fi; grep -q 'resource busy' message; }
                mount "$loop" inside
                refused "$loop"
                grep -q '^# error 32 ERROR_SHARING_VIOLATION .*mounted' "$M/ctl"
                umount inside
                echo "attach $loop type=raw name=a" > "$M/ctl"
                refused "$S/other"
                if mount "$loop" inside 2> /dev/null; then fail "mounted beside us"; fi
                printf written | dd of="$A/a/disk" conv=notrunc,fsync status=none
                eventually eval '(echo "detach a" > "$M/ctl") 2> /dev/null'
                test "$(head -c 7 "$loop")" = written
                # Who only reads may be one of many.
                mount -o ro "$loop" inside
                echo "attach $S/other readonly type=raw name=b" > "$M/ctl"
                cmp "$A/b/disk" "$loop"
                echo "detach b" > "$M/ctl"
                """
            )
        }
    }
}
