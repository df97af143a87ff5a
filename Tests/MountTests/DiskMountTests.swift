import TestSupport
import Testing

/// `disk` as programs use it.
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct DiskMountTests {
    static let images = TestImages.entries.filter { !$0.format.hasPrefix("VHDX") }

    @Test(.enabled(if: TestImages.areThere, "needs the images of other programs"))
    func everyImageShowsItsDisk() throws {
        try withMount { mount in
            // All before the first, since one is another's parent.
            let images = try Self.images.map { ($0, try TestImages.unpack($0.name, into: mount.scratch)) }
            for (image, path) in images {
                try mount.check(
                    """
                    echo "attach '\(path)' readonly" > "$M/ctl"
                    test "$(stat -c %s "$A"/*/disk)" = \(image.virtualSize) || fail "size of \(image.name)"
                    """
                )
                if image.virtualSize < 2 << 30 {
                    try mount.check("test \"$(sha256sum < \"$(echo $A/*/disk)\")\" = '\(image.diskHash)  -'")
                } else {
                    try mount.check("qemu-img compare -f raw -F vpc \"$(echo $A/*/disk)\" '\(path)'")
                }
                try mount.check("echo \"detach '\(path)'\" > \"$M/ctl\"")
            }
        }
    }

    /// The footer of a fixed VHD lies behind its disk: no reader may ever get there.
    @Test func aFixedVHDEndsWhereItsDiskEnds() throws {
        try withMount { mount in
            var builder = VHDBuilder(.fixed, size: 100_352)
            builder.disk.store([UInt8](repeating: 5, count: 100_352), at: 0)
            try mount.scratch.write(builder.build().content, to: "a.vhd")
            try mount.python(
                """
                for words in ['', 'readonly']:
                    attach(f'{S}/a.vhd {words}')
                    for read in [lambda: open(A + '/a/disk', 'rb').read(), lambda: subprocess.check_output(['cat', A + '/a/disk'])]:
                        assert read() == b'\\5' * 100352
                    with open(A + '/a/disk', 'rb') as f:
                        with mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as m: assert m[:] == b'\\5' * 100352
                        assert os.pread(f.fileno(), 9000, 100000) == b'\\5' * 352
                    detach('a')
                """
            )
        }
    }

    // MARK: Writing

    @Test func programsWriteIt() throws {
        try withMount { mount in
            try mount.makeVHD("a.vhd")
            try mount.check(
                """
                echo "attach $S/a.vhd" > "$M/ctl"
                head -c 1048576 /dev/urandom > model
                cp model "$A/a/disk"
                cmp model "$A/a/disk"
                head -c 300000 /dev/urandom > part
                dd if=part of="$A/a/disk" bs=1000 seek=7 conv=notrunc status=none
                dd if=part of=model bs=1000 seek=7 conv=notrunc status=none
                # Without notrunc: the truncation is passed over, as on a block device.
                head -c 5000 part | dd of="$A/a/disk" bs=5000 status=none
                head -c 5000 part | dd of=model bs=5000 conv=notrunc status=none
                dd if=part of="$A/a/disk" bs=4096 count=20 seek=40 oflag=direct conv=notrunc status=none
                dd if=part of=model bs=4096 count=20 seek=40 conv=notrunc status=none
                dd if=part of="$A/a/disk" bs=512 count=9 seek=1001 oflag=sync conv=notrunc status=none
                dd if=part of=model bs=512 count=9 seek=1001 conv=notrunc status=none
                cmp model "$A/a/disk"
                dd if="$A/a/disk" iflag=direct bs=64k status=none | cmp - model
                test "$(stat -c %s "$A/a/disk")" = 1048576
                # It never grows.
                if dd if=part of="$A/a/disk" bs=4096 seek=255 count=2 conv=notrunc 2> message; then fail "grew"; fi
                grep -q 'No space left' message
                dd if=part of=model bs=4096 seek=255 count=1 conv=notrunc status=none
                if (echo x >> "$A/a/disk") 2> message; then fail "appended"; fi
                grep -q 'No space left' message
                cmp model "$A/a/disk"
                echo "detach a" > "$M/ctl"
                qemu-img convert -f vpc -O raw a.vhd out
                cmp -n 1048576 model out
                echo "attach $S/a.vhd readonly" > "$M/ctl"
                cmp model "$A/a/disk"
                """
            )
        }
    }

    @Test func mappingsAreCoherentAndDurable() throws {
        try withMount { mount in
            try mount.makeVHD("a.vhd")
            try mount.python(
                """
                attach(f'{S}/a.vhd')
                f = os.open(A + '/a/disk', os.O_RDWR)
                m = mmap.mmap(f, 0)
                assert m[65536:65540] == b'\\1' * 4
                m[700000:700010] = b'0123456789'
                m[0:3] = b'abc'
                m.flush()
                assert os.pread(f, 10, 700000) == b'0123456789'
                g = os.open(A + '/a/disk', os.O_RDWR | os.O_DIRECT)
                b = mmap.mmap(-1, 4096)
                os.preadv(g, [b], 700000 // 4096 * 4096)
                assert b[700000 % 4096:][:10] == b'0123456789'
                # What is written is seen through the mapping, also past the page cache.
                os.pwrite(f, b'XYZ', 5000)
                assert m[5000:5003] == b'XYZ'
                b[:] = b'd' * 4096
                os.pwritev(g, [b], 8192)
                assert m[8192:8200] == b'd' * 8
                # Stores that nobody syncs arrive with the end of the mapping.
                m[900000:900003] = b'end'
                m.close(); os.close(f); os.close(g)
                for _ in range(500):
                    if ctl('detach a') == 0: break
                    time.sleep(0.02)
                attach(f'{S}/a.vhd readonly')
                d = open(A + '/a/disk', 'rb').read()
                assert (d[0:3], d[700000:700010], d[5000:5003], d[900000:900003]) == (b'abc', b'0123456789', b'XYZ', b'end')
                """
            )
        }
    }

    /// O_TRUNC cuts nothing off, but a program that leaves out the holes of its source takes them for zeros then.
    @Test func copiesOfSparseFilesWriteTheirHoles() throws {
        try withMount { mount in
            try mount.check(
                """
                for kind in 'vpc -o force_size=on' 'vpc -o subformat=fixed,force_size=on' 'vhdx -o block_size=1M' raw; do
                    qemu-img create -q -f $kind t.img 8M
                    words=; if test "$kind" = raw; then words=type=raw; fi
                    echo "attach $S/t.img $words name=z" > "$M/ctl"
                    D="$A/z/disk"
                    fill() { head -c 8M /dev/urandom | tee old > "$D"; }
                    for place in '' 1024 0 300 2045; do
                        rm -f source; truncate -s 8M source
                        test -z "$place" || dd if=/dev/urandom of=source bs=4096 count=3 seek=$place conv=notrunc status=none
                        fill; cp source "$D"; cmp source "$D" || fail "cp of $place to $kind"
                        fill; cp --sparse=always source "$D"; cmp source "$D" || fail "cp --sparse of $place to $kind"
                    done
                    # What lies behind the last write stays, as on a device, and so does everything when nothing is truncated.
                    fill; printf hello > "$D"; cmp <(printf hello; tail -c +6 old) "$D"
                    fill; dd if=/dev/zero of="$D" bs=512 count=1 status=none; cmp <(head -c 512 /dev/zero; tail -c +513 old) "$D"
                    fill; printf x | dd of="$D" bs=4096 seek=7 conv=notrunc status=none
                    cmp <(head -c 28672 old; printf x; tail -c +28674 old) "$D"
                    # A shorter source whose end is a hole would need another length of the disk: that is told.
                    truncate -s 3M shorter
                    if cp shorter "$D" 2> message; then fail "a hole was left out"; fi
                    grep -q 'not permitted' message
                    eventually eval 'echo "detach z" > "$M/ctl"' 2> /dev/null
                done
                """
            )
        }
    }

    @Test func whatIsSyncedOutlivesTheDaemon() throws {
        try withMount { mount in
            try mount.makeVHD("a.vhd")
            try mount.makeVHD("b.vhd", .fixed, fill: 2)
            try mount.python(
                """
                attach(f'{S}/a.vhd'); attach(f'{S}/b.vhd')
                for name in 'ab':
                    model = bytearray(open(f'{A}/{name}/disk', 'rb').read())
                    f = os.open(f'{A}/{name}/disk', os.O_RDWR)
                    for i in range(60):
                        n = random.randrange(1, 30000); o = random.randrange(0, (1 << 20) - n)
                        b = os.urandom(n); os.pwrite(f, b, o); model[o:o + n] = b
                    os.fsync(f)
                    g = os.open(f'{A}/{name}/disk', os.O_WRONLY | os.O_SYNC)
                    os.pwrite(g, b'synchronous', 333333); model[333333:333344] = b'synchronous'
                    open(f'{S}/{name}.model', 'wb').write(model)
                os.kill(int(os.environ['PID']), signal.SIGKILL)
                """
            )
            try mount.kill()
            try mount.check(
                """
                for name in a b; do
                    qemu-img convert -f vpc -O raw $name.vhd $name.raw
                    cmp -n 1048576 $name.model $name.raw
                done
                """
            )
            // The locks went with the daemon.
            try mount.mountAgain()
            try mount.check("echo \"attach $S/a.vhd\" > \"$M/ctl\"; cmp a.model \"$A/a/disk\"")
        }
    }

    /// The last close makes everything durable, with no sync asked for, also when others have just closed.
    @Test func whatIsClosedOutlivesTheDaemon() throws {
        try withMount { mount in
            try mount.makeVHD("a.vhd")
            try mount.check(
                """
                echo "attach $S/a.vhd" > "$M/ctl"
                for i in 1 2 3 4 5; do
                    head -c 70000 /dev/urandom > part
                    dd if=part of="$A/a/disk" bs=70000 seek=$i conv=notrunc status=none
                done
                cp "$A/a/disk" model
                kill -9 $PID
                """
            )
            try mount.kill()
            try mount.check(
                "qemu-img convert -f vpc -O raw a.vhd out; cmp -n 1048576 model out; qemu-img check -f vpc a.vhd || true"
            )
        }
    }

    @Test func manyReadersAndWritersAgreeWithAModel() throws {
        try withMount { mount in
            try mount.makeVHD("a.vhd")
            try mount.python(
                """
                attach(f'{S}/a.vhd')
                N, SIZE, UNIT = 6, 1 << 20, 512
                def work(k):
                    # Every N-th sector is this process's: neighbours share pages, blocks and bitmaps.
                    r = random.Random(k)
                    f = os.open(A + '/a/disk', os.O_RDWR | (os.O_DIRECT if k == 1 else 0))
                    buffer = mmap.mmap(-1, 512)
                    mine = {o: None for o in range(k * UNIT, SIZE, N * UNIT)}
                    offsets = list(mine)
                    for step in range(700):
                        o = r.choice(offsets)
                        if r.random() < 0.6:
                            mine[o] = bytes([r.randrange(1, 255)]) * UNIT
                            buffer[:] = mine[o]
                            assert os.pwritev(f, [buffer], o) == UNIT
                        elif mine[o] is not None:
                            os.preadv(f, [buffer], o)
                            assert buffer[:] == mine[o], (k, o)
                    os.fsync(f)
                    for o, b in mine.items():
                        if b is not None: assert os.preadv(f, [buffer], o) == UNIT and buffer[:] == b, (k, o)
                    with open(f'{S}/model.{k}', 'wb') as out:
                        for o, b in mine.items():
                            if b is not None: out.write(o.to_bytes(8, 'big') + b)
                children = []
                for k in range(N):
                    pid = os.fork()
                    if pid == 0:
                        try: work(k)
                        except BaseException as e: print(repr(e), file=sys.stderr); os._exit(1)
                        os._exit(0)
                    children.append(pid)
                assert all(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0 for pid in children)
                for _ in range(500):
                    if ctl('detach a') == 0: break
                    time.sleep(0.02)
                subprocess.check_call(['qemu-img', 'convert', '-f', 'vpc', '-O', 'raw', 'a.vhd', 'out'])
                disk = open('out', 'rb').read()
                for k in range(N):
                    model = open(f'model.{k}', 'rb').read()
                    for i in range(0, len(model), 8 + UNIT):
                        o = int.from_bytes(model[i:i + 8], 'big')
                        assert disk[o:o + UNIT] == model[i + 8:i + 8 + UNIT], (k, o)
                """
            )
        }
    }

    // MARK: Space

    @Test func holesStayHoles() throws {
        try withMount { mount in
            try mount.check(
                """
                qemu-img create -q -f vpc -o force_size=on big.vhd 64G
                echo "attach $S/big.vhd" > "$M/ctl"
                D=$A/big/disk
                test "$(stat -c %s "$D")" = 68719476736
                head -c 1048576 /dev/urandom > part
                dd if=part of="$D" bs=1M seek=40000 conv=notrunc status=none
                used() { test $(($(stat -c '%b * 512' "$1"))) -lt 8388608 || fail "$1 uses $(stat -c %b "$1") blocks"; }
                used "$D"
                used big.vhd
                cp --sparse=auto "$D" copy
                used copy
                cmp -n 1048576 -i $((40000 << 20)):0 copy part
                tar -C "$A/big" -S -cf big.tar disk
                test "$(stat -c %s big.tar)" -lt 8388608
                mkdir out && tar -C out -S -xf big.tar
                used out/disk
                cmp -n 1048576 -i $((40000 << 20)):0 out/disk part
                qemu-img convert -f raw -O qcow2 "$D" big.qcow2
                test "$(stat -c %s big.qcow2)" -lt 8388608
                qemu-img compare -f raw -F qcow2 "$D" big.qcow2
                rm -r copy out
                # Given back, and still a hole.
                fallocate --punch-hole -o $((40000 << 20)) -l 1048576 "$D"
                cmp -n 1048576 -i $((40000 << 20)):0 "$D" /dev/zero
                """
            )
        }
    }

    @Test func fallocateOnAChildNeverShowsTheParent() throws {
        try withMount { mount in
            let parent = try mount.makeVHD("parent.vhd")
            var child = VHDBuilder(.differencing, size: 1 << 20)
            child.blockSize = 65_536
            child.parentID = parent.uniqueID
            child.parentName = "parent.vhd"
            try mount.scratch.write(child.build().content, to: "child.vhd")
            try mount.check(
                """
                cp parent.vhd before
                echo "attach $S/child.vhd" > "$M/ctl"
                D=$A/child/disk
                cp "$D" model
                fallocate --punch-hole -o 66000 -l 5000 "$D"; fallocate --punch-hole -o 66000 -l 5000 model
                fallocate --zero-range -o 100000 -l 9000 "$D"; fallocate --zero-range -o 100000 -l 9000 model
                fallocate -o 0 -l 1048576 "$D"
                cmp "$D" model
                for words in "--collapse-range -o 0 -l 4096" "--insert-range -o 0 -l 4096" "-o 1048576 -l 1"; do
                    if fallocate $words "$D" 2> message; then fail "fallocate $words"; fi
                    grep -qE 'not supported|No space' message
                done
                echo "detach child" > "$M/ctl"
                echo "attach $S/child.vhd readonly" > "$M/ctl"
                cmp "$D" model
                cmp before parent.vhd
                """
            )
        }
    }

    @Test func aFullHostReachesTheWriterAndLosesNothing() throws {
        try withMount { mount in
            try mount.scratch.makeFolder("small")
            try run("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", mount.scratch.path("small")).checked()
            defer { _ = try? run("umount", "-l", mount.scratch.path("small")) }
            try mount.python(
                """
                subprocess.check_call('qemu-img create -q -f vpc -o force_size=on small/a.vhd 64M', shell=True)
                attach(f'{S}/small/a.vhd')
                f = os.open(A + '/a/disk', os.O_RDWR)
                os.pwrite(f, b'old' * 1000, 100)
                os.fsync(f)
                # The next blocks do not fit: the writer is told, at once or at the sync.
                seen = 0
                try:
                    for i in range(1, 30):
                        os.pwrite(f, b'new' * 100000, i * (2 << 20)); os.fsync(f); seen = i
                except OSError as e: assert e.errno in (errno.ENOSPC, errno.EIO), e
                else: assert False, 'it all went into 3 MiB'
                assert os.pread(f, 3000, 100) == b'old' * 1000
                for i in range(1, 30):
                    b = os.pread(f, 300000, i * (2 << 20))
                    old = all(x in (0, *b'new') for x in b)
                    assert b == b'new' * 100000 if i <= seen else old, i
                # The close can't make the image complete, and says so.
                try: os.close(f)
                except OSError as e: assert e.errno in (errno.ENOSPC, errno.EIO), e
                if ctl('detach a'): detach('a force')
                attach(f'{S}/small/a.vhd readonly')
                d = open(A + '/a/disk', 'rb')
                assert os.pread(d.fileno(), 3000, 100) == b'old' * 1000
                d.close(); detach('a')
                """
            )
        }
    }

    // MARK: Names and attributes

    @Test func nothingInTheTreeCanBeChanged() throws {
        try withMount { mount in
            try mount.makeVHD("a.vhd")
            try mount.python(
                """
                attach(f'{S}/a.vhd')
                d = A + '/a/disk'
                EPERM = errno.EPERM
                fails(EPERM, os.chmod, d, 0o777); fails(EPERM, os.chown, d, 1, 1); fails(EPERM, os.unlink, d)
                fails(EPERM, os.rename, d, A + '/a/other'); fails(EPERM, os.truncate, d, 0); fails(EPERM, os.truncate, d, 5)
                fails(EPERM, os.truncate, d, (1 << 20) + 1)
                f = os.open(d, os.O_RDWR)
                for size in (0, 1, 1 << 21): fails(EPERM, os.ftruncate, f, size)
                os.ftruncate(f, 1 << 20)
                os.close(f)
                for path in (M, A, A + '/a'):
                    for make in (os.mkdir, os.mkfifo, lambda p: os.symlink('x', p), lambda p: os.open(p, os.O_CREAT | os.O_WRONLY)):
                        try: make(path + '/new')
                        except OSError as e: assert e.errno in (EPERM, errno.EACCES, errno.EROFS, errno.ENOSYS, errno.EOPNOTSUPP), e
                        else: assert False, path
                fails(EPERM, os.rmdir, A + '/a'); fails(EPERM, os.unlink, M + '/ctl'); fails(EPERM, os.rmdir, A)
                os.utime(d, (1, 1))
                assert os.stat(d).st_mtime == os.stat('a.vhd').st_mtime
                assert os.stat(d).st_blksize == 4096 and os.stat(d).st_size == 1 << 20
                assert os.stat(d).st_blocks == min(os.stat('a.vhd').st_blocks, 2048)
                detach('a')
                attach(f'{S}/a.vhd readonly')
                fails(errno.EROFS, os.open, d, os.O_RDWR); fails(errno.EROFS, os.open, d, os.O_WRONLY | os.O_TRUNC)
                assert os.stat(d).st_mode & 0o222 == 0
                """
            )
        }
    }
}
