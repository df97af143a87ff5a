import TestSupport
import Testing

/// `kill -9` of the daemon under load, again and again: what was acknowledged as durable is there when it is mounted again, and every
/// other byte is an old or a new one. `make kill` runs many rounds.
@Suite(.enabled(if: canMount, needsRoot))
struct KillMountTests {
    @Test("Killed under load", arguments: SeededGenerator.seeds(3))
    func killedUnderLoad(_ seed: UInt64) throws {
        try withMount { mount in
            try Self.makeImages(in: mount)
            try mount.python(Self.load.replacing("SEED", with: "\(seed)"))
            try mount.kill()
            try mount.check(Self.checks)
            try mount.mountAgain()
            try mount.python(Self.comparison)
        }
    }

    /// `a.vhd` and `c.vhdx` are dynamic, `b.vhd` and `d.vhdx` differencing, each of 8 MiB.
    private static func makeImages(in mount: Mount) throws {
        var disk = SparseBytes(count: 8 << 20)
        disk.store([UInt8](repeating: 2, count: 3 << 20), at: 1 << 20)
        func vhd(_ disk: SparseBytes, id: UInt8) -> VHDBuilder {
            var builder = VHDBuilder(.dynamic, disk: disk, blockSize: 65_536)
            builder.uniqueID = [UInt8](repeating: id, count: 16)
            return builder
        }
        func vhdx(_ disk: SparseBytes, id: UInt8) -> VHDXBuilder {
            var builder = VHDXBuilder(.dynamic, disk: disk, blockSize: 1 << 20)
            builder.dataWriteGUID = [UInt8](repeating: id, count: 16)
            return builder
        }
        let empty = SparseBytes(count: disk.count)
        var (child, leaf) = (vhd(empty, id: 3), vhdx(empty, id: 3))
        child.setParent(vhd(disk, id: 2), file: "parent.vhd")
        leaf.setParent(vhdx(disk, id: 2), file: "parent.vhdx")
        for (name, content) in [
            ("a.vhd", vhd(disk, id: 1).build().content), ("parent.vhd", vhd(disk, id: 2).build().content),
            ("b.vhd", child.build().content), ("c.vhdx", vhdx(disk, id: 1).build().content),
            ("parent.vhdx", vhdx(disk, id: 2).build().content), ("d.vhdx", leaf.build().content),
        ] { try mount.scratch.write(content, to: name) }
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
        # Seldom synced, much is at stake; often, and much has been promised.
        SYNC, DSYNC = (random.choice([0.005, 0.03, 0.15]) for _ in range(2))
        # The kernel hands on a long call in pieces, of which the first may still have been answered.
        cut = OSError(errno.ENOTCONN, 'cut short')
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
                    if what < SYNC:
                        os.fsync(f)
                        for o, b in later: durable[o:o + len(b)] = b
                        later = []; syncs += 1
                    elif what < SYNC + 0.1:
                        # Whole blocks now and then, which are given back, and taken anew by the next write.
                        if r.random() < 0.5: o, n = o >> 20 << 20, min(1 << 20, size - (o >> 20 << 20))
                        later.append((o, bytes(n)))
                        if libc.fallocate(f, HOLE, start + o, n): raise OSError(ctypes.get_errno(), 'fallocate')
                    elif what < SYNC + 0.1 + DSYNC:
                        b = os.urandom(n); later.append((o, b))
                        # Durable when it returns; the sync is the disk's, so what came before is too.
                        if os.pwrite(g, b, start + o) < n: raise cut
                        for o, b in later: durable[o:o + len(b)] = b
                        current[:] = durable
                        later = []; syncs += 1
                    elif what < 0.45:
                        b = os.pread(f, n, start + o)
                        if len(b) < n: raise cut
                        assert b == current[o:o + n], (name, half, o, n)
                    else:
                        b = os.urandom(n); later.append((o, b))
                        if os.pwrite(f, b, start + o) < n: raise cut
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
            by_sector = {}
            for o, b in later:
                for sector in range(o // 512, (o + len(b) - 1) // 512 + 1): by_sector.setdefault(sector, []).append((o, b))
            for o in range(0, len(disk), 512):
                versions = [durable[o:o + 512]]
                for p, b in by_sector.get(o // 512, []):
                    version, first, last = bytearray(versions[-1]), max(o, p), min(o + 512, p + len(b))
                    version[first - o:last - o] = b[first - p:last - p]
                    versions.append(bytes(version))
                part = disk[o:o + 512]
                if part in versions: continue
                for i in range(512):
                    assert any(v[i] == part[i] for v in versions), (name, half, o + i, syncs)
            print(name, half, syncs, 'syncs', len(later), 'steps later')
        for name in 'abcd':
            with open(f'{A}/{name}/disk', 'r+b') as f: f.write(b'again')
            detach(name)
        for image in ('a.vhd', 'b.vhd', 'c.vhdx', 'd.vhdx'):
            assert subprocess.call([os.environ['VHDFS'], 'check', image]) in (0, 3), image
        """
}
