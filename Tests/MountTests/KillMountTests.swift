import TestSupport
import Testing

/// `kill -9` of the daemon under load, again and again: what was acknowledged as durable is there when it is mounted again, and every
/// other byte is an old or a new one. `make kill` runs many rounds.
@Suite(.enabled(if: canMount, needsRoot))
struct KillMountTests {
    @Test("Killed under load", .timeLimit(.minutes(5)), arguments: SeededGenerator.seeds(3))
    func killedUnderLoad(_ seed: UInt64) throws {
        try withMount { mount in
            try mount.makeVHD("a.vhd")
            let parent = try mount.makeVHD("parent.vhd", fill: 2)
            var child = VHDBuilder(.dynamic, size: parent.size)
            child.blockSize = 65_536
            child.uniqueID = [UInt8](repeating: 9, count: 16)
            child.setParent(parent, file: "parent.vhd")
            try mount.scratch.write(child.build().content, to: "b.vhd")
            try mount.makeVHDX("c.vhdx")
            let base = try mount.makeVHDX("parent.vhdx", fill: 3)
            var leaf = VHDXBuilder(.differencing, size: base.size, blockSize: 1 << 20)
            leaf.setParent(base, file: "parent.vhdx")
            try mount.scratch.write(leaf.build().content, to: "d.vhdx")
            try mount.python(Self.load.replacing("SEED", with: "\(seed)"))
            try mount.kill()
            try mount.check(Self.checks)
            try mount.mountAgain()
            try mount.python(Self.comparison)
        }
    }

    /// Two writers for each disk, each with its own half. A writer keeps for every sync what it knows to be durable, and what came after.
    private static let load = """
        import pickle, threading
        random.seed(SEED)
        for image in ('a.vhd', 'b.vhd', 'c.vhdx', 'd.vhdx'): attach(f'{S}/{image} permanent')
        PID = int(os.environ['PID'])
        HOLE = 3  # FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
        begun, results = threading.Barrier(9), {}
        def work(name, half, seed):
            r = random.Random(seed)
            path = f'{A}/{name}/disk'
            size = os.stat(path).st_size // 2
            start = half * size
            f = os.open(path, os.O_RDWR)
            g = os.open(path, os.O_RDWR | os.O_DSYNC)
            durable = bytearray(os.pread(f, size, start))
            current, later, syncs = bytearray(durable), [], 0
            results[name, half] = None
            begun.wait()
            try:
                while True:
                    for p, b in later[-1:]: current[p:p + len(b)] = b
                    o = r.randrange(size); n = min(r.choice([1, 512, 700, 4096, 30000, 200000]), size - o)
                    what = r.random()
                    if what < 0.15:
                        os.fsync(f)
                        for o, b in later: durable[o:o + len(b)] = b
                        later = []; syncs += 1
                    elif what < 0.25:
                        later.append((o, bytes(n)))
                        if libc.fallocate(f, HOLE, start + o, n): raise OSError(ctypes.get_errno(), 'fallocate')
                    elif what < 0.35:
                        b = os.urandom(n); later.append((o, b))
                        # Durable when it returns; the sync is the disk's, so what came before is too.
                        assert os.pwrite(g, b, start + o) == n
                        for o, b in later: durable[o:o + len(b)] = b
                        current[:] = durable
                        later = []; syncs += 1
                    elif what < 0.5:
                        b = os.pread(f, n, start + o)
                        assert b == current[o:o + n], (name, half, o, n)
                    else:
                        b = os.urandom(n); later.append((o, b))
                        assert os.pwrite(f, b, start + o) == n
            except OSError as e:
                assert e.errno in (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO), e
            results[name, half] = (start, bytes(durable), later, syncs)
        threads = [threading.Thread(target=work, args=(name, half, random.random())) for name in 'abcd' for half in (0, 1)]
        for t in threads: t.start()
        begun.wait()
        time.sleep(random.uniform(0.02, 0.8))
        os.kill(PID, signal.SIGKILL)
        for t in threads: t.join()
        assert all(results.values()), results.keys()
        pickle.dump(results, open(f'{S}/results', 'wb'))
        """

    /// Neither a check nor anything else needs a repair first, and QEMU takes what it can read.
    private static let checks = """
        for image in a.vhd b.vhd c.vhdx d.vhdx; do
            "$VHDFS" check $image > findings || test $? = 3 || fail "$image: $(cat findings)"
        done
        cp --sparse=always c.vhdx copy
        qemu-img check -q -r all -f vhdx copy || test $? = 3
        qemu-img check -q -f vhdx copy || test $? = 3
        qemu-img convert -f vhdx -O raw copy c.raw
        qemu-img convert -f vpc -O raw a.vhd a.raw
        """

    private static let comparison = """
        import pickle
        for (name, half), (start, durable, later, syncs) in pickle.load(open('results', 'rb')).items():
            disk = open(f'{A}/{name}/disk', 'rb').read()
            # A reader of its own agrees; it looks at no bits, so only where blocks have no holes in them.
            if name in 'ac': assert open(f'{name}.raw', 'rb').read(len(disk)) == disk, name
            disk = disk[start:start + len(durable)]
            versions = [durable]
            for o, b in later:
                version = bytearray(versions[-1]); version[o:o + len(b)] = b
                versions.append(bytes(version))
            for o in range(0, len(disk), 512):
                part = disk[o:o + 512]
                if any(v[o:o + 512] == part for v in versions): continue
                for i in range(o, o + 512):
                    assert any(v[i] == disk[i] for v in versions), (name, half, i, syncs)
        for name in 'abcd':
            with open(f'{A}/{name}/disk', 'r+b') as f: f.write(b'again')
            detach(name)
        for image in ('a.vhd', 'b.vhd', 'c.vhdx', 'd.vhdx'):
            assert subprocess.call([os.environ['VHDFS'], 'check', image]) in (0, 3), image
        """
}
