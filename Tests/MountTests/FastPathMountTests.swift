import TestSupport
import Testing

/// Large reads, which go to the kernel without being copied by us, and disks that the kernel reads by itself.
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct FastPathMountTests {
    /// Reads in pieces of all sizes, at all offsets, by one and by many; with O_DIRECT each is one request of its own.
    private static let compare = """
        def compare(path, model):
            wanted = open(model, 'rb').read()
            chance = random.Random(1)
            direct = os.open(path, os.O_RDONLY | os.O_DIRECT)
            memory = mmap.mmap(-1, 1 << 20)
            for size in [4096, 65536, 131072, 1 << 20]:
                for _ in range(30):
                    offset = chance.randrange(0, len(wanted), 512) // 4096 * 4096
                    count = os.preadv(direct, [memoryview(memory)[:size]], offset)
                    assert memory[:count] == wanted[offset:offset + size], (path, size, offset, count)
            os.close(direct)
            for size in [100000, 1 << 20, len(wanted)]:
                with open(path, 'rb', buffering=0) as f:
                    os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                    read = b''.join(iter(lambda: f.read(size), b''))
                assert read == wanted, (path, size)

        """

    /// Pieces of blocks and of holes, in one request, from images of QEMU's.
    @Test(arguments: ["vpc", "vhdx", "raw"])
    func largeReadsShowTheDisk(_ format: String) throws {
        try withMount { mount in
            try mount.check(
                """
                head -c 9000000 /dev/urandom > model; truncate -s 20M model
                head -c 3000000 /dev/urandom | dd of=model bs=1000 seek=14000 conv=notrunc status=none
                qemu-img convert -f raw -O \(format) $(test \(format) != vpc || echo -o force_size=on) model image
                """
            )
            for words in ["readonly", ""] {
                try mount.python(
                    Self.compare + """
                        attach(f'{S}/image {"type=raw" if "\(format)" == "raw" else ""} \(words)')
                        compare(A + '/image/disk', 'model')
                        detach('image')
                        """
                )
            }
        }
    }

    /// Sectors of three layers in one request.
    @Test func largeReadsShowAChain() throws {
        try withMount { mount in
            var random = SeededGenerator(seed: 7)
            var layers = [VHDBuilder.random(.dynamic, size: 4 << 20, blockSizes: [131_072], using: &random)]
            var shown = layers[0].shown()
            for number in 1...2 {
                var child = VHDBuilder.random(.differencing, size: 4 << 20, blockSizes: [262_144], using: &random)
                child.setParent(layers[number - 1], file: "\(number - 1).vhd")
                shown = child.shown(over: shown)
                layers.append(child)
            }
            for (number, layer) in layers.enumerated() {
                try mount.scratch.write(layer.build().content, to: "\(number).vhd")
            }
            try mount.scratch.write(shown, to: "model")
            try mount.python(
                Self.compare + """
                    attach(f'{S}/2.vhd readonly')
                    compare(A + '/2/disk', 'model')
                    """
            )
        }
    }

    /// Bytes that are no more there are an error, never zeros; and nobody waits for ever.
    @Test func aLargeReadOfAnImageThatWasCutFails() throws {
        try withMount { mount in
            try mount.check(
                "head -c 8M /dev/urandom > model; qemu-img convert -f raw -O vpc -o subformat=fixed,force_size=on model a.vhd"
            )
            try mount.python(
                """
                attach(f'{S}/a.vhd readonly')
                wanted = open('model', 'rb').read()
                fd = os.open(A + '/a/disk', os.O_RDONLY | os.O_DIRECT)
                memory = mmap.mmap(-1, 1 << 20)
                os.truncate('a.vhd', (4 << 20) + 1000)
                for offset in range(0, 8 << 20, 1 << 20):
                    if offset < 4 << 20:
                        assert os.preadv(fd, [memory], offset) == 1 << 20 and memory[:] == wanted[offset:offset + (1 << 20)]
                    else:
                        fails(errno.EIO, os.preadv, fd, [memory], offset)
                os.close(fd)
                """
            )
        }
    }

    /// The daemon can be stopped, and the disk is still read; and no program sees more than the disk, whatever it tries.
    @Test(arguments: ["raw", "iso"])
    func theKernelReadsRawAndISOByItself(_ kind: String) throws {
        try withMount("-o", "passthrough") { mount in
            try mount.check(
                """
                test "$(uname -r | awk -F. '{ print ($1 > 6 || $1 == 6 && $2 >= 9) }')" = 1 || exit 0
                head -c 3000000 /dev/urandom > file
                if test \(kind) = iso; then genisoimage -quiet -R -o image file; else head -c 2000384 file > image; fi
                echo "attach $S/image readonly type=\(kind)" > "$M/ctl"
                # Only reads: everything else, closing too, asks the daemon. If this fails, it goes on after a while.
                python3 - $PID "$A/image/disk" image <<'END' || fail "read while the daemon was stopped"
                import os, signal, sys, threading
                daemon, path, model = int(sys.argv[1]), sys.argv[2], open(sys.argv[3], 'rb').read()
                fd = os.open(path, os.O_RDONLY)
                watchdog = threading.Timer(15, os.kill, (daemon, signal.SIGCONT))
                watchdog.start()
                os.kill(daemon, signal.SIGSTOP)
                found, pieces = 0, []
                while piece := os.pread(fd, 100000, found): found, pieces = found + len(piece), pieces + [piece]
                behind = os.pread(fd, 100000, len(model))
                assert watchdog.is_alive()
                watchdog.cancel()
                os.kill(daemon, signal.SIGCONT)
                assert b''.join(pieces) == model and behind == b''
                END
                cmp "$A/image/disk" image
                test "$(stat -c %s "$A/image/disk")" = "$(stat -c %s image)"
                timeout 20 dd if="$A/image/disk" bs=1M iflag=direct status=none | cmp - image
                # Holes are told by the daemon still, partitions are files of the ordinary kind, and many may have it open.
                cp --sparse=always "$A/image/disk" copy; cmp copy image
                exec 6< "$A/image/disk"; exec 7< "$A/image/disk"; cmp - image <&6; cmp - image <&7
                exec 6<&- 7<&-
                echo "detach image" > "$M/ctl"
                test -z "$(ls "$A")"
                # Nothing holds the file any more: it can be attached for writing.
                test \(kind) = iso || echo "attach $S/image type=raw" > "$M/ctl"
                """
            )
        }
    }

    /// What is written through `disk` is seen in it and in the file: a disk that can be written to is not the kernel's to read.
    @Test func aRawDiskThatIsWrittenToStaysCoherent() throws {
        try withMount { mount in
            try mount.check(
                """
                truncate -s 8M image
                echo 'start=2048, size=8192' | sfdisk -q image
                echo "attach $S/image type=raw" > "$M/ctl"
                exec 5< "$A/image/disk" 6< "$A/image/p1"
                cat <&5 > /dev/null; cat <&6 > /dev/null
                echo through the partition | dd of="$A/image/p1" bs=512 seek=3 conv=notrunc status=none
                test "$(dd if="$A/image/disk" bs=512 skip=2051 count=1 status=none | head -n 1)" = 'through the partition'
                test "$(dd if=image bs=512 skip=2051 count=1 status=none | head -n 1)" = 'through the partition'
                exec 5<&- 6<&-
                """
            )
        }
    }

    /// Copies of a disk of 1 TiB ask only for what is there: all that they read is counted.
    @Test(arguments: ["vpc", "vhdx"])
    func copiesReadOnlyWhatIsThere(_ format: String) throws {
        try withMount { mount in
            try mount.check(
                """
                qemu-img create -q -f \(format) $(test \(format) != vpc || echo -o force_size=on) image 1T
                echo "attach $S/image" > "$M/ctl"
                D=$A/image/disk
                for place in 0 300000 1000000; do head -c 1M /dev/urandom | dd of="$D" bs=1M seek=$place conv=notrunc status=none; done
                # What a shell's children have read is counted as its own once they have ended. Three blocks, and what programs read of themselves.
                read_by() { sh -c '"$@" && sed -n "s/^rchar: //p" /proc/$$/io' sh "$@"; }
                few() { test "$2" -lt $((120 << 20)) || fail "$1 read $2 bytes"; }
                few cp "$(read_by cp --sparse=always "$D" copy)"
                few tar "$(read_by tar -C "$A/image" -S -cf out.tar disk)"
                few qemu-img "$(read_by qemu-img convert -f raw -O qcow2 "$D" out.qcow2)"
                cmp -n 1M -i $((300000 << 20)) copy "$D"
                qemu-img compare -f raw -F qcow2 copy out.qcow2
                """
            )
        }
    }
}
