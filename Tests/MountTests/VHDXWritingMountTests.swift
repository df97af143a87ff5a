import TestSupport
import Testing

/// Programs write to a VHDX side by side, without syncing, onto a full host: what they were told is so.
@Suite(.enabled(if: canMount, needsRoot), .timeLimit(.minutes(10)))
struct VHDXWritingMountTests {
    /// The last close makes everything durable and the log empty, with no sync asked for.
    @Test func whatIsClosedOutlivesTheDaemon() throws {
        try withMount { mount in
            try mount.makeVHDX("a.vhdx")
            try mount.check(
                mount.vhdxTools + """
                    echo "attach $S/a.vhdx" > "$M/ctl"
                    for i in 1 2 3 4 5; do
                        head -c 700000 /dev/urandom > part
                        dd if=part of="$A/a/disk" bs=700000 seek=$i conv=notrunc status=none
                        isClean a.vhdx || fail "the log is not empty"
                    done
                    cp "$A/a/disk" model
                    kill -9 $PID
                    """
            )
            try mount.kill()
            try mount.check(
                """
                qemu-img check -q -f vhdx a.vhdx
                qemu-img compare -q -f vhdx -F raw a.vhdx model
                """
            )
        }
    }

    /// Sectors of 4096 bytes are completed from below when only a part is written: neighbours must not lose what is theirs.
    @Test(arguments: [UInt32(512), 4096], [false, true])
    func manyReadersAndWritersAgreeWithAModel(_ sector: UInt32, isChild: Bool) throws {
        try withMount { mount in
            var parent = VHDXBuilder(.dynamic, size: 4 << 20, blockSize: 1 << 20)
            parent.logicalSectorSize = sector
            try mount.scratch.write(parent.build().content, to: "parent.vhdx")
            if isChild {
                var child = VHDXBuilder(.differencing, size: parent.size, blockSize: 2 << 20)
                child.logicalSectorSize = sector
                child.setParent(parent, file: "parent.vhdx")
                try mount.scratch.write(child.build().content, to: "a.vhdx")
            } else {
                try mount.check("mv parent.vhdx a.vhdx")
            }
            try mount.python(
                """
                attach(f'{S}/a.vhdx')
                N, SIZE, UNIT = 6, 4 << 20, 512
                def work(k):
                    # Every N-th unit is this process's: neighbours share pages, sectors, blocks and bitmaps.
                    r = random.Random(k)
                    f = os.open(A + '/a/disk', os.O_RDWR | (os.O_DIRECT if k == 1 else 0))
                    buffer = mmap.mmap(-1, UNIT)
                    mine = {o: None for o in range(k * UNIT, SIZE, N * UNIT)}
                    offsets = list(mine)
                    for step in range(500):
                        o = r.choice(offsets)
                        if r.random() < 0.7:
                            mine[o] = bytes([r.randrange(1, 255)]) * UNIT
                            buffer[:] = mine[o]
                            assert os.pwritev(f, [buffer], o) == UNIT
                            if r.random() < 0.05: os.fsync(f)
                        elif mine[o] is not None:
                            os.preadv(f, [buffer], o)
                            assert buffer[:] == mine[o], (k, o)
                    open(f'{S}/model.{k}', 'wb').write(b''.join(o.to_bytes(8, 'big') + b for o, b in mine.items() if b))
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
                assert subprocess.call([os.environ['VHDFS'], 'check', 'a.vhdx'], stdout=subprocess.DEVNULL) == 0
                attach(f'{S}/a.vhdx readonly')
                disk = open(A + '/a/disk', 'rb').read()
                expected = bytearray(SIZE)
                for k in range(N):
                    model = open(f'model.{k}', 'rb').read()
                    for i in range(0, len(model), 8 + UNIT):
                        o = int.from_bytes(model[i:i + 8], 'big')
                        expected[o:o + UNIT] = model[i + 8:i + 8 + UNIT]
                assert disk == expected
                """
            )
        }
    }

    @Test func aFullHostReachesTheWriterAndLosesNothing() throws {
        try withMount { mount in
            try mount.scratch.makeFolder("small")
            try run("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", mount.scratch.path("small")).checked()
            defer { _ = try? run("umount", "-l", mount.scratch.path("small")) }
            try mount.makeVHDX("small/a.vhdx", fill: 0)
            try mount.python(
                """
                attach(f'{S}/small/a.vhdx')
                f = os.open(A + '/a/disk', os.O_RDWR)
                os.pwrite(f, b'old' * 1000, 100)
                os.fsync(f)
                # The next blocks do not fit: the writer is told, at once or at the sync.
                seen = 0
                try:
                    for i in range(1, 8):
                        os.pwrite(f, b'new' * 300000, i << 20); os.fsync(f); seen = i
                except OSError as e: assert e.errno in (errno.ENOSPC, errno.EIO), e
                else: assert False, 'it all went into 4 MiB'
                assert seen > 0
                assert os.pread(f, 3000, 100) == b'old' * 1000
                for i in range(1, 8):
                    b = os.pread(f, 900000, i << 20)
                    assert b == b'new' * 300000 if i <= seen else all(x in (0, *b'new') for x in set(b)), i
                # Where there is room, writing goes on.
                os.pwrite(f, b'more', 50)
                os.fsync(f)
                try: os.close(f)
                except OSError as e: assert e.errno in (errno.ENOSPC, errno.EIO), e
                if ctl('detach a'): detach('a force')
                attach(f'{S}/small/a.vhdx readonly')
                d = open(A + '/a/disk', 'rb')
                assert os.pread(d.fileno(), 4, 50) == b'more'
                assert os.pread(d.fileno(), 3000, 100) == b'old' * 1000
                for i in range(1, seen + 1): assert os.pread(d.fileno(), 900000, i << 20) == b'new' * 300000, i
                d.close(); detach('a')
                assert subprocess.call([os.environ['VHDFS'], 'check', 'small/a.vhdx']) in (0, 3)
                """
            )
        }
    }

    /// The daemon dies while a child is written to: the chain opens again, with what was synced.
    @Test func aChildOutlivesTheDaemon() throws {
        try withMount { mount in
            let parent = try mount.makeVHDX("parent.vhdx")
            var child = VHDXBuilder(.differencing, size: parent.size, blockSize: 2 << 20)
            child.setParent(parent, file: "parent.vhdx")
            try mount.scratch.write(child.build().content, to: "child.avhdx")
            try mount.python(
                """
                attach(f'{S}/child.avhdx permanent')
                model = bytearray(open(f'{A}/child/disk', 'rb').read())
                assert model[1 << 20:2 << 20] == b'\\1' * (1 << 20)
                f = os.open(f'{A}/child/disk', os.O_RDWR)
                for i in range(150):
                    n = random.randrange(1, 3000); o = random.randrange(0, len(model) - n)
                    b = os.urandom(n); os.pwrite(f, b, o); model[o:o + n] = b
                    if i % 40 == 0: os.fsync(f)
                os.fsync(f)
                open(f'{S}/model', 'wb').write(model)
                os.kill(int(os.environ['PID']), signal.SIGKILL)
                """
            )
            try mount.kill()
            try mount.mountAgain()
            try mount.check(
                mount.vhdxTools + """
                    cmp model "$A/child/disk"
                    echo "detach child" > "$M/ctl"
                    echo "attach $S/child.avhdx" > "$M/ctl"
                    printf again | dd of="$A/child/disk" conv=notrunc status=none
                    echo "detach child" > "$M/ctl"
                    clean child.avhdx
                    echo "attach $S/child.avhdx readonly" > "$M/ctl"
                    printf again | dd of=model conv=notrunc status=none
                    cmp model "$A/child/disk"
                    """
            )
        }
    }
}
