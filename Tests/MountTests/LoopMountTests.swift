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
}
